package kafka

import (
	"errors"
	"strings"

	"cdc/broker"
	"cdc/fault"
)

// verdict is what becomes of a batch after an answer.
type verdict uint8

const (
	verdictDone      verdict = iota
	verdictRetry             // the same bytes again
	verdictRetryFew          // the same, but not for ever: the error may be one of the batch
	verdictTooLarge          // the policy for oversize records says
	verdictRenew             // with another producer id: what the broker knew of this one has gone by retention
	verdictMisplaced         // nothing may be sent any more: acknowledged records are gone
	verdictFatal
)

// judge sorts the codes of answers to produce requests.
func judge(k broker.Error) verdict {
	switch k {
	case broker.ErrNone, broker.ErrDuplicateSequence:
		return verdictDone
	case broker.ErrUnknownTopic, broker.ErrLeaderNotAvailable, broker.ErrNotLeader, broker.ErrRequestTimedOut, broker.ErrBrokerNotAvailable, broker.ErrReplicaNotAvailable, broker.ErrNetwork,
		broker.ErrNotEnoughReplicas, broker.ErrNotEnoughAfterAppend, broker.ErrStorage, broker.ErrFencedLeaderEpoch, broker.ErrUnknownLeaderEpoch, broker.ErrThrottled,
		broker.ErrCoordinatorLoading, broker.ErrCoordinatorUnavailable, broker.ErrNotCoordinator, broker.ErrInconsistentTopicID,
		broker.ErrTransactionState: // a marker is under way to a partition of the same producer
		return verdictRetry
	case broker.ErrUnknownServer, broker.ErrCorruptMessage:
		return verdictRetryFew
	case broker.ErrMessageTooLarge, broker.ErrRecordListTooLarge:
		return verdictTooLarge
	case broker.ErrUnknownProducerID:
		return verdictRenew
	case broker.ErrOutOfOrderSequence, broker.ErrInvalidProducerEpoch, broker.ErrProducerFenced:
		return verdictMisplaced
	}
	return verdictFatal
}

// unsure reports codes of answers behind which the batch may have been appended all the same.
func unsure(k broker.Error) bool {
	return k == broker.ErrRequestTimedOut || k == broker.ErrNotEnoughAfterAppend || k == broker.ErrUnknownServer || k == broker.ErrNetwork
}

// passing reports codes of other requests that go away by themselves.
func passing(k broker.Error) bool {
	v := judge(k)
	return v == verdictRetry || k == broker.ErrUnknownServer || k == broker.ErrNotController
}

// fatal gives the fault in err that no other try would mend, or nil.
func fatal(err error) *fault.Error {
	if e, ok := fault.As(err); ok && e.Class() != fault.Retry {
		return e
	}
	return nil
}

// refused makes the fault of a code that does not go away. what is the thing that was asked for, as "write to topic x".
func refused(k broker.Error, what, message string) *fault.Error {
	if message != "" && !errors.Is(k, broker.ErrNone) {
		message = ": " + message
	}
	if k == broker.ErrReplicationFactor && strings.Contains(message, "fenced") {
		// The controller has not heard of its brokers for some seconds, as on a machine with too much to do: not that there are too few of them.
		return fault.New(fault.SinkUnreachable, "%s%s: %w", what, message, k)
	}
	switch k {
	case broker.ErrTopicAuthorization, broker.ErrClusterAuthorization, broker.ErrTransactionalID:
		return fault.New(fault.SinkGrantMissing, "the account may not %s%s: %w", what, message, k)
	case broker.ErrInvalidTopic:
		return fault.New(fault.SinkTopicName, "%s%s: %w", what, message, k)
	case broker.ErrUnsupportedVersion:
		return fault.New(fault.SinkVersion, "%s%s: %w", what, message, k)
	}
	return fault.New(fault.SinkRefused, "%s%s: %w", what, message, k)
}
