package live

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"strconv"

	"cdc/fault"
	"cdc/gtid"
	"cdc/session"
)

// identify chooses how this reader introduces itself. The uuid is made of the host's name and the stream's: a server drops an older dump
// connection of the same uuid (MariaDB: of the same server id), so a reader that comes back ends the one it left behind. The id is
// derived in the same way, and moved on where the server itself or another of its replicas has it.
func (s *Source) identify(ctx context.Context, sess *login, f *facts) (identity, error) {
	seed := rand.Text()
	if s.opt.Stream != "" {
		host, err := os.Hostname()
		if err != nil || host == "" {
			host = "localhost"
		}
		seed = host + "\x00" + s.opt.Stream
	}
	sum := sha256.Sum256([]byte("cdc replica\x00" + seed))
	self := identity{id: s.cfg.ServerID}
	copy(self.uuid[:], sum[:16])
	self.uuid[6] = self.uuid[6]&0x0f | 0x80 // RFC 9562: version 8, made by rules of one's own
	self.uuid[8] = self.uuid[8]&0x3f | 0x80

	taken := map[uint32]bool{f.id: true, 0: true}
	others, err := replicas(ctx, sess, f)
	if err != nil {
		return self, err
	}
	for _, r := range others {
		if r.uuid != self.uuid {
			taken[r.id] = true
		}
	}
	if self.id != 0 {
		if self.id == f.id {
			return self, clash(self.id, "the source itself has it", f.address)
		}
		if taken[self.id] {
			return self, clash(self.id, "SHOW REPLICAS on the source lists it", f.address)
		}
		return self, nil
	}
	for i := 0; taken[self.id]; i++ {
		next := sha256.Sum256(append(sum[:], byte(i), byte(i>>8)))
		self.id = 1<<30 | binary.BigEndian.Uint32(next[:])>>2
	}
	return self, nil
}

func clash(id uint32, why, address string) error {
	return fault.New(fault.SourceServerIDClash, "server id %d is not free: %s", id, why).At(fault.Where{Server: address})
}

// replicas lists who reads from the server, as far as they introduced themselves. MariaDB shows them to few accounts: without the privilege
// nothing is known, and a clash shows later by the server's own words.
func replicas(ctx context.Context, sess *login, f *facts) ([]identity, error) {
	statement := "SHOW SLAVE HOSTS"
	if f.flavor == gtid.MySQL && f.version >= 80022 {
		statement = "SHOW REPLICAS"
	}
	rows, err := sess.Query(ctx, statement)
	if err != nil {
		if f.flavor == gtid.MariaDB && session.Number(err) == session.ErSpecificAccessDenied {
			return nil, nil
		}
		return nil, sess.fault(err, "REPLICATION SLAVE")
	}
	var out []identity
	for _, r := range rows {
		if len(r) < 4 {
			continue
		}
		id, err := strconv.ParseUint(string(r[0]), 10, 32)
		if err != nil {
			continue
		}
		i := identity{id: uint32(id)}
		if len(r) > 4 {
			i.uuid, _ = gtid.ParseUUID(string(r[4])) // MariaDB has none
		}
		out = append(out, i)
	}
	return out, nil
}
