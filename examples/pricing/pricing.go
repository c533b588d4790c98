// SPDX-License-Identifier: MPL-2.0

// Package pricing is a contract between a team's daemon and its plugins.
//
//reattach:cookie=PRICING_PLUGIN:prices
package pricing

import "context"

//go:generate go tool reattach-gen

// Pricer says what things cost.
type Pricer interface {
	// Price gives the price of a quantity of some goods. Whoever looks it up need not go
	// on when ctx has ended: nobody waits then.
	//reattach:idempotent
	Price(ctx context.Context, goods string, quantity int) (Money, error)
}

// Money is an amount in the smallest unit of a currency.
type Money struct {
	Amount   int64
	Currency string
}
