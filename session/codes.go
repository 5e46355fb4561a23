package session

import "cdc/fault"

// Codes are the fault codes of the side that a session is of.
type Codes struct {
	Unreachable  fault.Code // nobody answers
	AccessDenied fault.Code // user or password
	GrantMissing fault.Code // the account may not do what was asked
	TLSRequired  fault.Code // one side wants encryption and the other does not
	TLSVerify    fault.Code // the certificate
	AuthPlugin   fault.Code // a way of logging in that is not safe or not known
	Protocol     fault.Code // an answer that the protocol does not allow
	Lost         fault.Code // the connection broke
}

// SourceCodes are those of a server that is read from.
func SourceCodes() Codes {
	return Codes{
		Unreachable: fault.SourceUnreachable, AccessDenied: fault.SourceAccessDenied, GrantMissing: fault.SourceGrantMissing,
		TLSRequired: fault.SourceTLSRequired, TLSVerify: fault.SourceTLSVerify, AuthPlugin: fault.SourceAuthPlugin, Protocol: fault.SourceProtocol,
		Lost: fault.SourceLost,
	}
}

// TargetCodes are those of a server that is written to.
func TargetCodes() Codes {
	return Codes{
		Unreachable: fault.TargetUnreachable, AccessDenied: fault.TargetAccessDenied, GrantMissing: fault.TargetGrantMissing,
		TLSRequired: fault.TargetTLSRequired, TLSVerify: fault.TargetTLSVerify, AuthPlugin: fault.TargetAuthPlugin, Protocol: fault.TargetProtocol,
		Lost: fault.TargetLost,
	}
}
