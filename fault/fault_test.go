package fault

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestDescriptionsAreSortedAndWhole(t *testing.T) {
	last := Code(0)
	for _, d := range All() {
		if d.Code <= last {
			t.Errorf("%s comes after %s", d.Code, last)
		}
		last = d.Code
		if d.Summary == "" || d.Cure == "" {
			t.Errorf("%s lacks a summary or a cure", d.Code)
		}
		if strings.HasSuffix(d.Summary, ".") || strings.HasSuffix(d.Cure, ".") {
			t.Errorf("%s ends with a full stop", d.Code)
		}
	}
}

func TestErrorSaysCodeTextAndPlace(t *testing.T) {
	err := fmt.Errorf("read: %w", New(BinlogChecksum, "checksum %x: %w", 0xab, io.ErrUnexpectedEOF).
		At(Where{Table: "shop.orders", File: "binlog.000001", Offset: 4}))
	if got, want := err.Error(), "read: CDC4002: checksum ab: unexpected EOF (table shop.orders, binlog.000001:4)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !Has(err, BinlogChecksum) || Has(err, BinlogMalformed) {
		t.Error("the code was not found")
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause was not found")
	}
	if e, _ := As(err); e.Next == "" {
		t.Error("no cure")
	}
	if ClassOf(err) != Fatal || ClassOf(io.EOF) != Fatal || ClassOf(New(SourceLost, "x")) != Retry {
		t.Error("wrong class")
	}
}
