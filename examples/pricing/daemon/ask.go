// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/reattach/reattach/host/daemon"

	"example.com/pricing"
)

// ask asks a plugin what three teas cost.
func ask(ctx context.Context, d *daemon.Daemon, plugin string, w io.Writer) error {
	pricer, err := daemon.Dispense[pricing.Pricer](ctx, d, plugin, pricing.PricerKind)
	if err != nil {
		return err
	}
	price, err := pricer.Price(ctx, "tea", 3)
	if err == nil {
		_, err = fmt.Fprintln(w, "three teas:", price)
	}
	return err
}
