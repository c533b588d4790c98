// SPDX-License-Identifier: MPL-2.0

// Package page tests the page of a daemon in a real browser, with real plugins. It is a
// module of its own, so that what drives the browser stays out of the product.
package page
