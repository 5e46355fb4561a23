package kafka

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	kafkago "github.com/segmentio/kafka-go"
)

func TestDivide(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		shares := map[int]bool{}
		for range rng.IntN(20) {
			shares[1+rng.IntN(30)] = true
		}
		var members []string
		held := map[string][]int{}
		for i := range 1 + rng.IntN(6) {
			members = append(members, fmt.Sprint("m", i))
		}
		for n := range shares {
			for range rng.IntN(3) { // two may hold one share
				m := members[rng.IntN(len(members))]
				if !slices.Contains(held[m], n) {
					held[m] = append(held[m], n)
				}
			}
		}
		got := divide(shares, held, members)
		seen, most, least := map[int]int{}, 0, len(shares)
		for _, m := range members {
			most, least = max(most, len(got[m])), min(least, len(got[m]))
			for _, n := range got[m] {
				seen[n]++
			}
		}
		if len(seen) != len(shares) || most > least+1 {
			t.Fatalf("%v to %v gives %v", shares, members, got)
		}
		for n, times := range seen {
			if times != 1 || !shares[n] {
				t.Fatalf("share %d is given %d times: %v", n, times, got)
			}
		}
		again := divide(shares, got, members)
		for _, m := range members {
			if !slices.Equal(got[m], again[m]) {
				t.Fatalf("nothing has changed, and %v becomes %v", got, again)
			}
		}
	}
}

func TestAssignWholeShares(t *testing.T) {
	var partitions []kafkago.Partition
	for _, x := range []struct {
		topic string
		n     int
	}{{"a", 8}, {"b", 3}, {"c", 11}} {
		for i := range x.n {
			partitions = append(partitions, kafkago.Partition{Topic: x.topic, ID: i})
		}
	}
	b := balancer{of: 4, held: func() []int { return []int{2, 3} }}
	mine, err := b.UserData()
	if err != nil || string(mine) != "2,3" {
		t.Fatalf("%q, %v", mine, err)
	}
	members := []kafkago.GroupMember{{ID: "new"}, {ID: "old", UserData: mine}, {ID: "odd", UserData: []byte("x,,99,-1")}}
	got := b.AssignGroups(members, partitions)
	n, owner := 0, map[int]string{}
	for m, topics := range got {
		for _, list := range topics {
			for _, id := range list {
				n++
				if was, ok := owner[shareOf(id, 4)]; ok && was != m {
					t.Errorf("share %d is divided among %s and %s", shareOf(id, 4), was, m)
				}
				owner[shareOf(id, 4)] = m
			}
		}
	}
	if n != len(partitions) || len(owner) != 4 {
		t.Errorf("%d of %d partitions in %d shares", n, len(partitions), len(owner))
	}
	if owner[2] != "old" || owner[3] != "old" {
		t.Errorf("shares 2 and 3 moved: %v", owner)
	}
	if _, ok := got["odd"]; !ok {
		t.Error("a member without partitions has no assignment")
	}
}
