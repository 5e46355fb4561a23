package mysql

import (
	"cdc/fault"
	"cdc/session"
)

// Error numbers of the server, from errmsg-utf8.txt in its source.
const (
	erDiskFull          = 1021
	erTooManyConns      = 1040
	erBadDB             = 1049
	erBadField          = 1054
	erRecordFileFull    = 1114
	erColumnCount       = 1136
	erPacketTooLarge    = 1153
	erOutOfRange        = 1264
	erOptionPrevents    = 1290
	erNoDefault         = 1364
	erTruncatedWrong    = 1366
	erDataTooLong       = 1406
	erReadOnlyTxn       = 1792
	erReadOnlyMode      = 1836
	erServerOffline     = 3032
	erUserLocksDeadlock = 3058
	erTemporaryFileFull = 3
)

// sorted makes a fault of an error of the target, and says whether another try may end otherwise.
func sorted(err error) (again bool, _ error) {
	if f, ok := fault.As(err); ok {
		return f.Class() == fault.Retry, err
	}
	code := fault.TargetRefused
	switch session.Number(err) {
	case 0:
		return false, err
	case session.ErDeadlock, session.ErLockWait, erUserLocksDeadlock:
		code = fault.TargetBusy
	case erOptionPrevents, erReadOnlyTxn, erReadOnlyMode:
		code = fault.TargetReadOnly
	case erTooManyConns, erServerOffline:
		code = fault.TargetUnreachable
	case erDiskFull, erRecordFileFull, erTemporaryFileFull:
		code = fault.SinkDiskFull
	case session.ErDBAccessDenied, session.ErAccessDenied, session.ErTableAccessDenied, session.ErColumnAccessDenied, session.ErSpecificAccessDenied,
		session.ErProcedureAccessDenied:
		code = fault.TargetGrantMissing
	case session.ErNoSuchTable, erBadDB:
		code = fault.TargetTableMissing
	case erBadField, erColumnCount, erOutOfRange, erNoDefault, erTruncatedWrong, erDataTooLong:
		code = fault.TargetColumn
	case erPacketTooLarge:
		code = fault.TargetPacket
	}
	f := fault.New(code, "%w", err)
	return f.Class() == fault.Retry, f
}
