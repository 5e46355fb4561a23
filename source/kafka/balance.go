package kafka

import (
	"slices"
	"strconv"
	"strings"

	kafkago "github.com/segmentio/kafka-go"
)

// balancer is how the leader of a group divides the shares. All partitions of a share go to one member, and a member keeps as much as it can of what it
// had: a share that moves costs a flush here and the opening of a sink there.
type balancer struct {
	of   int          // shares
	held func() []int // those of this member
}

// ProtocolName is among what members must agree on: those that divide otherwise are refused by the broker.
func (b balancer) ProtocolName() string { return "cdc-shares-" + strconv.Itoa(b.of) }

// UserData tells the leader which shares this member had.
func (b balancer) UserData() ([]byte, error) {
	var out []byte
	for i, n := range b.held() {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, int64(n), 10)
	}
	return out, nil
}

// AssignGroups divides the partitions.
func (b balancer) AssignGroups(members []kafkago.GroupMember, partitions []kafkago.Partition) kafkago.GroupMemberAssignments {
	out, held, shares, names := kafkago.GroupMemberAssignments{}, map[string][]int{}, map[int]bool{}, make([]string, 0, len(members))
	for _, p := range partitions {
		shares[shareOf(p.ID, b.of)] = true
	}
	for _, m := range members {
		names = append(names, m.ID)
		out[m.ID] = map[string][]int{}
		for word := range strings.SplitSeq(string(m.UserData), ",") {
			if n, err := strconv.Atoi(word); err == nil && shares[n] {
				held[m.ID] = append(held[m.ID], n)
			}
		}
	}
	owner := map[int]string{}
	for name, list := range divide(shares, held, names) {
		for _, n := range list {
			owner[n] = name
		}
	}
	for _, p := range partitions {
		topics := out[owner[shareOf(p.ID, b.of)]]
		topics[p.Topic] = append(topics[p.Topic], p.ID)
	}
	return out
}

// shareOf gives the number, from 1, of the share that a partition is in.
func shareOf(partition, of int) int { return partition%of + 1 }

// divide gives each member as many shares as the others, or one more. Members keep what they hold as far as that goes; of two that hold one share, which
// happens where one was away, the first by name keeps it.
func divide(shares map[int]bool, held map[string][]int, members []string) map[string][]int {
	out := map[string][]int{}
	if len(members) == 0 {
		return out
	}
	members = slices.Sorted(slices.Values(members))
	least, more := len(shares)/len(members), len(shares)%len(members)
	free := map[int]bool{}
	for n := range shares {
		free[n] = true
	}
	for _, m := range members {
		for _, n := range held[m] {
			switch have := len(out[m]); {
			case !free[n] || have > least || have == least && more == 0:
				continue
			case have == least:
				more--
			}
			delete(free, n)
			out[m] = append(out[m], n)
		}
	}
	left := make([]int, 0, len(free))
	for n := range free {
		left = append(left, n)
	}
	slices.Sort(left)
	for _, n := range left {
		m := slices.MinFunc(members, func(a, b string) int { return len(out[a]) - len(out[b]) })
		out[m] = append(out[m], n)
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out
}
