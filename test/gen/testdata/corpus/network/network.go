// SPDX-License-Identifier: MPL-2.0

// Package network has what proxies and clusters ask of their plugins.
package network

import (
	"context"
	"errors"
	"iter"
	"net"
	"net/netip"
	"time"
)

// Interface is one end of a link.
type Interface struct {
	Name    string
	MAC     net.HardwareAddr
	Sandbox string
	MTU     uint
}

// Address is an address of an interface.
type Address struct {
	Prefix  netip.Prefix
	Gateway *netip.Addr
	On      *int
}

// Route leads somewhere.
type Route struct {
	To  netip.Prefix
	Via netip.Addr
}

// Result is what was set up.
type Result struct {
	Version    string
	Interfaces []Interface
	Addresses  []Address
	Routes     []Route
	DNS        struct3
}

type struct3 = DNS

// DNS is how names are looked up.
type DNS struct{ Servers, Search []string }

// ErrTryLater says that it may work later.
var ErrTryLater = errors.New("try again later")

// CNI sets up the network of a container.
type CNI interface {
	Add(ctx context.Context, container, netns, ifname string, args [][2]string, config []byte) (*Result, error)
	//reattach:idempotent
	Del(ctx context.Context, container, netns, ifname string, config []byte) error
	Check(ctx context.Context, container string, prev *Result) error
}

// IPAM gives out addresses.
type IPAM interface {
	Request(ctx context.Context, pool string, wanted *netip.Addr, options map[string]string) (netip.Prefix, error)
	Release(ctx context.Context, pool string, address netip.Addr) error
}

// Authorizer says whether a request may pass.
type Authorizer interface {
	//reattach:idempotent timeout=250ms
	Check(ctx context.Context, source, destination netip.AddrPort, method, path string, headers map[string]string) (Decision, error)
}

// Decision is what becomes of a request.
type Decision struct {
	Allowed bool
	Status  uint16
	Headers []Header
	Remove  []string
}

// Header is added or set.
type Header struct {
	Name, Value string
	Append      bool
}

// RateLimiter counts.
type RateLimiter interface {
	ShouldLimit(ctx context.Context, domain string, descriptors [][]Entry, hits uint32) (over bool, remaining map[string]uint32, err error)
}

// Entry is a part of a descriptor.
type Entry struct{ Key, Value string }

// Attestor proves what a node is: challenges come, answers go.
type Attestor interface {
	Attest(ctx context.Context, challenges iter.Seq2[[]byte, error]) iter.Seq2[[]byte, error]
}

// Authority signs certificates.
type Authority interface {
	Mint(ctx context.Context, csr []byte, ttl time.Duration) (iter.Seq2[Chain, error], error)
}

// Chain is a certificate, those above it, and the roots.
type Chain struct{ Certificates, Roots [][]byte }

// KeyManager keeps private keys.
type KeyManager interface {
	Generate(ctx context.Context, id string, kind KeyType) (public []byte, err error)
	Sign(ctx context.Context, id string, digest []byte, salt *int) ([]byte, error)
	Keys(ctx context.Context) (map[string]KeyType, error)
}

// KeyType is a kind of keys.
type KeyType int
