// SPDX-License-Identifier: MPL-2.0

// Command plugin is a price list: it runs as a child of a daemon, or on the network.
package main

import (
	"context"
	"fmt"

	"example.com/pricing"
)

// list holds prices in cents.
type list map[string]int64

func (l list) Price(_ context.Context, goods string, quantity int) (pricing.Money, error) {
	each, ok := l[goods]
	if !ok {
		return pricing.Money{}, fmt.Errorf("there is no %s", goods)
	}
	return pricing.Money{Amount: each * int64(quantity), Currency: "EUR"}, nil
}

func main() {
	pricing.Serve(pricing.Implementations{Pricer: list{"tea": 450, "cake": 720}})
}
