// SPDX-License-Identifier: MPL-2.0

// Command plugin is a calculator: it runs as a child of a daemon, or on the network.
package main

import (
	"context"

	"example.com/calculator"
)

// implementation is what the plugin does.
type implementation struct{}

func (implementation) Add(_ context.Context, a, b int) (int, error) { return a + b, nil }

func (implementation) Divide(_ context.Context, a, b float64) (float64, error) {
	if b == 0 {
		return 0, calculator.ErrZero
	}
	return a / b, nil
}

func (implementation) Sum(_ context.Context, numbers []int) (sum int, _ error) {
	for _, n := range numbers {
		if n == 13 {
			return 0, &calculator.UnluckyError{Number: n}
		}
		sum += n
	}
	return sum, nil
}

func main() { calculator.Serve(calculator.Implementations{Calculator: implementation{}}) }
