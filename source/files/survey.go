package files

import (
	"context"
	"errors"
	"io"

	"cdc/fault"
	"cdc/source/binlog"
)

// Survey reads files for what they say of transactions, without decoding rows: see binlog.Survey. Of cfg it takes Paths, Start and Stop. ask's
// Choose is its own. Checksums are verified, and a file that ends inside a transaction or an event is an error, as with a Source.
func Survey(ctx context.Context, cfg Config, ask binlog.SurveyConfig) error {
	s, err := prepare(cfg)
	if err != nil {
		return err
	}
	defer s.r.close()
	ask.Choose = s.choose
	tell := ask.Txn
	ask.Txn = func(x *binlog.Surveyed) error {
		s.passed(x.GTID)
		return tell(x)
	}
	survey := binlog.NewSurvey(ask)
	for n := 0; ; n++ {
		if n&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if s.r.file == nil {
			if err := s.nextFile(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			survey.Seek(Name(s.cfg.Paths[s.at]), uint64(len(magic)))
		}
		raw, stream, err := s.r.next(s.eventLimit(), func([]byte) bool { return true })
		switch {
		case errors.Is(err, io.EOF):
			if survey.Open() && s.at+1 == len(s.cfg.Paths) {
				return fault.New(fault.BinlogTruncated, "the file ends inside a transaction").At(s.r.where())
			}
			s.r.close()
			continue
		case err != nil:
			return err
		case stream:
			if err := s.surveyStream(survey, raw); err != nil {
				return err
			}
			continue
		}
		switch err := survey.Push(raw); {
		case errors.Is(err, binlog.ErrStop):
			return nil
		case err != nil:
			return err
		}
	}
}

// surveyStream hands over an event that is too large to be held.
func (s *Source) surveyStream(survey *binlog.Survey, raw []byte) error {
	copy(s.head[:], raw)
	body, err := s.r.body(s.head[:], survey.Checksums())
	if err != nil {
		return err
	}
	if err := survey.PushStream(s.head[:], body); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, body); err != nil {
		return s.r.broken(err)
	}
	return nil
}
