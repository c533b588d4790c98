// SPDX-License-Identifier: MPL-2.0

package greet

import (
	"context"
	"net/rpc"
	"sync/atomic"
	"time"
)

// Worker is a Greeter that has calls of other shapes as well.
type Worker interface {
	Greeter
	// Take answers how long the data is: a call with a large request.
	Take(data []byte) (int, error)
	// Give answers n bytes: a call with a large reply.
	Give(n int) ([]byte, error)
	// Hold answers after d, or with the error of ctx when that ends before.
	Hold(ctx context.Context, d time.Duration) error
	// Held is how many calls of Hold the server is busy with.
	Held() (int, error)
}

// Streamer is a Worker that has streams.
type Streamer interface {
	Worker
	// Feed has the server send n messages of so many bytes in one stream.
	Feed(n, size int) error
	// Pour sends the server n messages of so many bytes in one stream.
	Pour(n, size int) error
}

// Plain is the Worker of most servers.
type Plain struct{ held atomic.Int64 }

// Greet implements Greeter.
func (*Plain) Greet(name string) (string, error) { return Answer(name), nil }

// Take implements Worker.
func (*Plain) Take(data []byte) (int, error) { return len(data), nil }

// Give implements Worker.
func (*Plain) Give(n int) ([]byte, error) { return make([]byte, n), nil }

// Hold implements Worker.
func (p *Plain) Hold(ctx context.Context, d time.Duration) error {
	p.held.Add(1)
	defer p.held.Add(-1)
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Held implements Worker.
func (p *Plain) Held() (int, error) { return int(p.held.Load()), nil }

// Take serves Plugin.Take.
func (r *Receiver) Take(data []byte, length *int) (err error) {
	*length, err = r.Impl.Take(data)
	return err
}

// Give serves Plugin.Give.
func (r *Receiver) Give(n int, data *[]byte) (err error) {
	*data, err = r.Impl.Give(n)
	return err
}

// Hold serves Plugin.Hold. net/rpc has no context for a method.
func (r *Receiver) Hold(d time.Duration, _ *struct{}) error {
	return r.Impl.Hold(context.Background(), d)
}

// Held serves Plugin.Held.
func (r *Receiver) Held(_ struct{}, n *int) (err error) {
	*n, err = r.Impl.Held()
	return err
}

// Take implements Worker.
func (c *Caller) Take(data []byte) (length int, err error) {
	err = c.Client.Call("Plugin.Take", data, &length)
	return length, err
}

// Give implements Worker.
func (c *Caller) Give(n int) (data []byte, err error) {
	err = c.Client.Call("Plugin.Give", n, &data)
	return data, err
}

// Hold implements Worker. All that a caller of net/rpc can do is not to wait any more.
func (c *Caller) Hold(ctx context.Context, d time.Duration) error {
	call := c.Client.Go("Plugin.Hold", d, new(struct{}), make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return call.Error
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Held implements Worker.
func (c *Caller) Held() (n int, err error) {
	err = c.Client.Call("Plugin.Held", struct{}{}, &n)
	return n, err
}
