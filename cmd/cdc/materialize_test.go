package main

import (
	"strings"
	"testing"

	"cdc/schemas"
	"cdc/transform"
)

// TestRoutedTo looks which names a route may give a table.
func TestRoutedTo(t *testing.T) {
	t.Parallel()
	route := func(to string) transform.Config {
		return transform.Config{Route: &transform.RouteConfig{Match: "%.%", To: to}}
	}
	if routedTo([]transform.Config{{}, {Route: &transform.RouteConfig{Match: "%.%", Topic: "x"}}}) != nil {
		t.Error("a route that changes topics alone gives names")
	}
	for _, x := range []struct {
		to, name string
		want     bool
	}{
		{"shop.orders", "shop.orders", true},
		{"shop.orders", "shop.orders_1", false},
		{"shop.orders", "Shop.Orders", true},
		{"archive.{table}", "archive.any", true},
		{"archive.{table}", "shop.any", false},
		{"shop.orders_{1}", "shop.orders_7", true},
		{"{database}.all+", "shop.all+", true},
		{"{database}.all+", "shop.alll", false},
	} {
		db, table, _ := strings.Cut(x.name, ".")
		if got := routedTo([]transform.Config{{}, route("other.t"), route(x.to)})(schemas.Name{Database: db, Table: table}); got != x.want {
			t.Errorf("%s, %s: %t", x.to, x.name, got)
		}
	}
}
