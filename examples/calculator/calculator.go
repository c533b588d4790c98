// SPDX-License-Identifier: MPL-2.0

// Package calculator is a contract of three methods; reattach gen writes what carries it.
package calculator

import (
	"context"
	"errors"
	"fmt"
)

//go:generate go tool reattach-gen

// Calculator calculates.
type Calculator interface {
	// Add adds two numbers.
	//reattach:idempotent timeout=2s
	Add(ctx context.Context, a, b int) (int, error)
	// Divide divides a by b. It is ErrZero if b is zero.
	//reattach:idempotent
	Divide(ctx context.Context, a, b float64) (float64, error)
	// Sum adds up numbers. An UnluckyError says which of them brings bad luck.
	//reattach:idempotent repeats=2
	Sum(ctx context.Context, numbers []int) (int, error)
}

// ErrZero says that somebody divides by zero.
var ErrZero = errors.New("division by zero")

// UnluckyError is a number that brings bad luck.
type UnluckyError struct{ Number int }

// Error implements error.
func (e *UnluckyError) Error() string { return fmt.Sprintf("%d is unlucky", e.Number) }
