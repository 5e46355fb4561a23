package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"cdc/event"
	"cdc/gtid"
	"cdc/schemas"
	"cdc/session"
	"cdc/source"
	"cdc/source/binlog"
	"cdc/source/files"
	"cdc/source/live"
)

// parts are what is measured in a process of its own, by name. Each gives the rows (or events) that it read.
var parts = map[string]func(ctx context.Context, address string, args []string) (int, error){
	"bare-dump":      bareDump,
	"go-mysql-raw":   func(ctx context.Context, a string, _ []string) (int, error) { return goMySQL(ctx, a, true) },
	"go-mysql-live":  func(ctx context.Context, a string, _ []string) (int, error) { return goMySQL(ctx, a, false) },
	"go-mysql-files": func(_ context.Context, _ string, paths []string) (int, error) { return goMySQLFiles(paths) },
	"cells-live":     cellsLive,
	"cells-files":    cellsFiles,
	"relay":          relayed,
}

// bareDump reads the dump connection and looks at nothing but the type of each event: the limit of what any reader can reach.
func bareDump(ctx context.Context, address string, _ []string) (int, error) {
	conn, err := client.ConnectWithContext(ctx, address, "root", "", "", 10*time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	r, err := conn.Execute("SHOW BINARY LOGS")
	if err != nil {
		return 0, err
	}
	file, err := r.GetString(0, 0)
	if err != nil {
		return 0, err
	}
	file = strings.Clone(file)
	if _, err := conn.Execute("SET @source_binlog_checksum='CRC32', @master_binlog_checksum='CRC32'"); err != nil {
		return 0, err
	}
	cmd := make([]byte, 4, 64)
	cmd = append(cmd, mysql.COM_BINLOG_DUMP)
	cmd = binary.LittleEndian.AppendUint32(cmd, 4)
	cmd = binary.LittleEndian.AppendUint16(cmd, 1) // BINLOG_DUMP_NON_BLOCK
	cmd = binary.LittleEndian.AppendUint32(cmd, 4_000_000_001)
	cmd = append(cmd, file...)
	conn.ResetSequence()
	if err := conn.WritePacket(cmd); err != nil {
		return 0, err
	}
	in := bufio.NewReaderSize(conn.Conn.Conn, 1<<20)
	rows := 0
	for {
		head, err := in.Peek(4)
		if err != nil {
			return rows, err
		}
		size := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
		body, err := in.Peek(min(4+size, 4+1+19))
		if err != nil {
			return rows, err
		}
		if size < 9 && body[4] == 0xfe {
			return rows, nil
		}
		if body[4] == 0xff {
			return rows, errors.New("the server refused the dump")
		}
		switch binlog.EventType(body[4+1+4]) {
		case binlog.WriteRows, binlog.UpdateRows, binlog.DeleteRows:
			rows++ // each row has an event of its own in this workload
		}
		if _, err := in.Discard(4 + size); err != nil {
			return rows, err
		}
	}
}

// goMySQL reads with go-mysql's own syncer, and decodes each row unless raw.
func goMySQL(ctx context.Context, address string, raw bool) (int, error) {
	host, port, _ := strings.Cut(address, ":")
	var p uint16
	if _, err := fmt.Sscan(port, &p); err != nil {
		return 0, err
	}
	end, err := executedGTIDs(ctx, address)
	if err != nil {
		return 0, err
	}
	syncer := replication.NewBinlogSyncer(replication.BinlogSyncerConfig{
		ServerID: 4_000_000_002, Flavor: "mysql", Host: host, Port: p, User: "root", RawModeEnabled: raw, DiscardGTIDSet: true, DisableRetrySync: true,
		Logger: slog.New(slog.DiscardHandler),
	})
	defer syncer.Close()
	set, err := mysql.ParseMysqlGTIDSet("")
	if err != nil {
		return 0, err
	}
	s, err := syncer.StartSyncGTID(set)
	if err != nil {
		return 0, err
	}
	want := end.Len()
	rows, txns := 0, uint64(0)
	for txns < want {
		ev, err := s.GetEvent(ctx)
		if err != nil {
			return rows, err
		}
		switch ev.Header.EventType {
		case replication.XID_EVENT:
			txns++
		case replication.QUERY_EVENT:
			if raw {
				if !strings.Contains(string(ev.RawData), "BEGIN") {
					txns++
				}
			} else if q := ev.Event.(*replication.QueryEvent); string(q.Query) != "BEGIN" {
				txns++
			}
		case replication.WRITE_ROWS_EVENTv2, replication.DELETE_ROWS_EVENTv2:
			rows++
		case replication.UPDATE_ROWS_EVENTv2:
			rows++
		}
	}
	return rows, nil
}

func goMySQLFiles(paths []string) (int, error) {
	rows := 0
	for _, path := range paths {
		p := replication.NewBinlogParser()
		// Not verified: go-mysql takes the file that the server is writing for damaged, since the in-use flag in its first event changes.
		p.SetVerifyChecksum(false)
		if err := p.ParseFile(path, 0, func(ev *replication.BinlogEvent) error {
			if e, ok := ev.Event.(*replication.RowsEvent); ok {
				n := len(e.Rows)
				if ev.Header.EventType == replication.UPDATE_ROWS_EVENTv2 {
					n /= 2
				}
				rows += n
			}
			return nil
		}); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func executedGTIDs(ctx context.Context, address string) (*gtid.Set, error) {
	conn, err := client.ConnectWithContext(ctx, address, "root", "", "", 10*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	r, err := conn.Execute("SELECT @@global.gtid_executed")
	if err != nil {
		return nil, err
	}
	v, err := r.GetString(0, 0)
	if err != nil {
		return nil, err
	}
	return gtid.Parse(gtid.MySQL, v)
}

func cellsLive(ctx context.Context, address string, _ []string) (int, error) {
	src, err := live.Open(ctx, live.Options{
		Config: live.Config{Config: session.Config{Address: address, User: "root"}}, Start: live.Start{Kind: live.StartEarliest}, Stop: live.Stop{Now: true}, NextSeq: 1, Pool: &event.Pool{},
	})
	if err != nil {
		return 0, err
	}
	return drain(ctx, src)
}

func cellsFiles(ctx context.Context, _ string, paths []string) (int, error) {
	flavor, version, err := files.Inspect(paths[0])
	if err != nil {
		return 0, err
	}
	src, err := files.Open(files.Config{Paths: paths, Binlog: binlog.Config{Flavor: flavor, Catalog: schemas.NewCatalog(flavor, version), NextSeq: 1}, Pool: &event.Pool{}})
	if err != nil {
		return 0, err
	}
	return drain(ctx, src)
}

func drain(ctx context.Context, src source.Source) (int, error) {
	defer src.Close()
	rows := 0
	for {
		b, err := src.Read(ctx)
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows += len(b.Changes)
		b.Release()
	}
}
