package kafka

import (
	"errors"
	"fmt"
	"strings"

	kafkago "github.com/segmentio/kafka-go"

	"cdc/fault"
)

// kerror is an error code of the protocol (https://kafka.apache.org/protocol#protocol_error_codes).
type kerror int16

const (
	errUnknownServer          kerror = -1
	errNone                   kerror = 0
	errCorruptMessage         kerror = 2
	errOffsetOutOfRange       kerror = 1
	errUnknownTopic           kerror = 3
	errLeaderNotAvailable     kerror = 5
	errNotLeader              kerror = 6
	errRequestTimedOut        kerror = 7
	errBrokerNotAvailable     kerror = 8
	errReplicaNotAvailable    kerror = 9
	errMessageTooLarge        kerror = 10
	errNetwork                kerror = 13
	errCoordinatorLoading     kerror = 14
	errCoordinatorUnavailable kerror = 15
	errNotCoordinator         kerror = 16
	errInvalidTopic           kerror = 17
	errRecordListTooLarge     kerror = 18
	errNotEnoughReplicas      kerror = 19
	errNotEnoughAfterAppend   kerror = 20
	errTopicAuthorization     kerror = 29
	errClusterAuthorization   kerror = 31
	errUnsupportedSASL        kerror = 33
	errUnsupportedVersion     kerror = 35
	errTopicExists            kerror = 36
	errReplicationFactor      kerror = 38
	errNotController          kerror = 41
	errOutOfOrderSequence     kerror = 45
	errDuplicateSequence      kerror = 46
	errInvalidProducerEpoch   kerror = 47
	errTransactionState       kerror = 48
	errTransactionTimeout     kerror = 50
	errConcurrentTransactions kerror = 51
	errTransactionalID        kerror = 53
	errNotAttempted           kerror = 55
	errStorage                kerror = 56
	errSASLFailed             kerror = 58
	errUnknownProducerID      kerror = 59
	errFencedLeaderEpoch      kerror = 74
	errUnknownLeaderEpoch     kerror = 75
	errOffsetNotAvailable     kerror = 78
	errThrottled              kerror = 89
	errProducerFenced         kerror = 90
	errInconsistentTopicID    kerror = 103
)

func (k kerror) Error() string {
	e := kafkago.Error(k)
	return fmt.Sprintf("%s (%d)", e.Title(), int(k))
}

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
func judge(k kerror) verdict {
	switch k {
	case errNone, errDuplicateSequence:
		return verdictDone
	case errUnknownTopic, errLeaderNotAvailable, errNotLeader, errRequestTimedOut, errBrokerNotAvailable, errReplicaNotAvailable, errNetwork,
		errNotEnoughReplicas, errNotEnoughAfterAppend, errStorage, errFencedLeaderEpoch, errUnknownLeaderEpoch, errThrottled,
		errCoordinatorLoading, errCoordinatorUnavailable, errNotCoordinator, errInconsistentTopicID,
		errTransactionState: // a marker is under way to a partition of the same producer
		return verdictRetry
	case errUnknownServer, errCorruptMessage:
		return verdictRetryFew
	case errMessageTooLarge, errRecordListTooLarge:
		return verdictTooLarge
	case errUnknownProducerID:
		return verdictRenew
	case errOutOfOrderSequence, errInvalidProducerEpoch, errProducerFenced:
		return verdictMisplaced
	}
	return verdictFatal
}

// unsure reports codes of answers behind which the batch may have been appended all the same.
func (k kerror) unsure() bool {
	return k == errRequestTimedOut || k == errNotEnoughAfterAppend || k == errUnknownServer || k == errNetwork
}

// passing reports codes of other requests that go away by themselves.
func (k kerror) passing() bool {
	v := judge(k)
	return v == verdictRetry || k == errUnknownServer || k == errNotController
}

// fatal gives the fault in err that no other try would mend, or nil.
func fatal(err error) *fault.Error {
	if e, ok := fault.As(err); ok && e.Class() != fault.Retry {
		return e
	}
	return nil
}

// refused makes the fault of a code that does not go away. what is the thing that was asked for, as "write to topic x".
func refused(k kerror, what, message string) *fault.Error {
	if message != "" && !errors.Is(k, errNone) {
		message = ": " + message
	}
	if k == errReplicationFactor && strings.Contains(message, "fenced") {
		// The controller has not heard of its brokers for some seconds, as on a machine with too much to do: not that there are too few of them.
		return fault.New(fault.SinkUnreachable, "%s%s: %w", what, message, k)
	}
	switch k {
	case errTopicAuthorization, errClusterAuthorization, errTransactionalID:
		return fault.New(fault.SinkGrantMissing, "the account may not %s%s: %w", what, message, k)
	case errInvalidTopic:
		return fault.New(fault.SinkTopicName, "%s%s: %w", what, message, k)
	case errUnsupportedVersion:
		return fault.New(fault.SinkVersion, "%s%s: %w", what, message, k)
	}
	return fault.New(fault.SinkRefused, "%s%s: %w", what, message, k)
}
