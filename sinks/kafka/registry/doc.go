// Package registry speaks with a schema registry in Confluent's protocol, which Confluent's own, Apicurio (below /apis/ccompat/v7), Karapace and
// Redpanda know. It gives schemas their ids: a [Client] is the format.Registrar of the Avro encoders.
//
// A schema that is new to its subject is compared with those that are there, by the compatibility level that the registry has for the subject, and
// registered if that allows it. One that is not allowed is a fault which names what does not go, or goes to another subject, see
// Config.Incompatible. Nothing is written to the brokers before that: no record ever names a schema that its reader cannot fetch.
//
// Ids are kept for the life of the client. A registry never gives an id to another schema, so there is nothing to be asked again; the registry may be
// away while no table changes.
//
// Faults of the class Retry (no answer, an answer of 5xx, 408 or 429) are worth another try, which is the caller's. Passwords are read anew for each
// request, are sent to the hosts of the configuration alone, and not without TLS except on loopback.
package registry
