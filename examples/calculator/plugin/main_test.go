// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"testing"

	"github.com/reattach/reattach/host/daemon/daemontest"

	"example.com/calculator"
	"example.com/calculator/calculatorhost"
)

func TestTable(t *testing.T) {
	c := daemontest.Stub[calculator.Calculator](daemontest.Serve(t, calculatorhost.Kinds()[0], implementation{}))
	if sum, err := c.Sum(t.Context(), []int{1, 2}); sum != 3 || err != nil {
		t.Errorf("got %d, %v", sum, err)
	}
	if _, err := c.Divide(t.Context(), 1, 0); !errors.Is(err, calculator.ErrZero) {
		t.Errorf("got %v", err)
	}
	var unlucky *calculator.UnluckyError
	if _, err := c.Sum(t.Context(), []int{13}); !errors.As(err, &unlucky) || unlucky.Number != 13 {
		t.Errorf("got %v", err)
	}
}
