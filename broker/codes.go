package broker

import "cdc/fault"

// Codes are the fault codes of the side that a connection is of.
type Codes struct {
	AccessDenied fault.Code // user or password
	TLSRequired  fault.Code // one side wants encryption and the other does not
	TLSVerify    fault.Code // the certificate, of either side
}

// SourceCodes are those of brokers that are read from.
func SourceCodes() Codes {
	return Codes{AccessDenied: fault.SourceAccessDenied, TLSRequired: fault.SourceTLSRequired, TLSVerify: fault.SourceTLSVerify}
}

// SinkCodes are those of brokers that are written to.
func SinkCodes() Codes {
	return Codes{AccessDenied: fault.SinkAccessDenied, TLSRequired: fault.SinkTLSVerify, TLSVerify: fault.SinkTLSVerify}
}

// StateCodes are those of brokers that keep the state of a pipeline.
func StateCodes() Codes {
	return Codes{AccessDenied: fault.StateTopic, TLSRequired: fault.StateTopic, TLSVerify: fault.StateTopic}
}
