package broker

import (
	"fmt"

	kafkago "github.com/segmentio/kafka-go"
)

// Error is an error code of the protocol (https://kafka.apache.org/protocol#protocol_error_codes).
type Error int16

const (
	ErrUnknownServer          Error = -1
	ErrNone                   Error = 0
	ErrCorruptMessage         Error = 2
	ErrOffsetOutOfRange       Error = 1
	ErrUnknownTopic           Error = 3
	ErrLeaderNotAvailable     Error = 5
	ErrNotLeader              Error = 6
	ErrRequestTimedOut        Error = 7
	ErrBrokerNotAvailable     Error = 8
	ErrReplicaNotAvailable    Error = 9
	ErrMessageTooLarge        Error = 10
	ErrNetwork                Error = 13
	ErrCoordinatorLoading     Error = 14
	ErrCoordinatorUnavailable Error = 15
	ErrNotCoordinator         Error = 16
	ErrInvalidTopic           Error = 17
	ErrRecordListTooLarge     Error = 18
	ErrNotEnoughReplicas      Error = 19
	ErrNotEnoughAfterAppend   Error = 20
	ErrTopicAuthorization     Error = 29
	ErrClusterAuthorization   Error = 31
	ErrUnsupportedSASL        Error = 33
	ErrUnsupportedVersion     Error = 35
	ErrTopicExists            Error = 36
	ErrReplicationFactor      Error = 38
	ErrNotController          Error = 41
	ErrOutOfOrderSequence     Error = 45
	ErrDuplicateSequence      Error = 46
	ErrInvalidProducerEpoch   Error = 47
	ErrTransactionState       Error = 48
	ErrTransactionTimeout     Error = 50
	ErrConcurrentTransactions Error = 51
	ErrTransactionalID        Error = 53
	ErrNotAttempted           Error = 55
	ErrStorage                Error = 56
	ErrSASLFailed             Error = 58
	ErrUnknownProducerID      Error = 59
	ErrFencedLeaderEpoch      Error = 74
	ErrUnknownLeaderEpoch     Error = 75
	ErrOffsetNotAvailable     Error = 78
	ErrThrottled              Error = 89
	ErrProducerFenced         Error = 90
	ErrInconsistentTopicID    Error = 103
)

func (k Error) Error() string {
	e := kafkago.Error(k)
	return fmt.Sprintf("%s (%d)", e.Title(), int(k))
}
