// Package broker is what a client of Kafka needs before it can do anything: how to reach and log in to a broker, the error codes of the protocol, the
// layout of record batches and of answers to fetch requests, and the partition of a key. The Kafka sink and the source of topics stand on it.
//
//	d := broker.Dialer{Codes: broker.SinkCodes(), SASL: cfg.SASL, ClientID: "cdc", ConnectTimeout: 10 * time.Second, Net: net.Dial}
//	d.TLS, err = cfg.TLS.Client()
//	c, err := d.Open(ctx, broker.WithPort("k1"))
//	defer c.Close()
//	answer, err := c.Ask(request, 30*time.Second)
//
// # Errors
//
// Errors that come back at each try (a wrong password, a certificate of somebody else) are *fault.Error with a code of the side: see Codes. All others
// are plain: whoever calls knows whether it matters that one broker of several does not answer.
//
// # Trust
//
// What a broker sends is not trusted before it has proved who it is: the iterations that it may ask for in SCRAM are bounded, lengths are compared with
// what has come, checksums of record batches are verified.
package broker
