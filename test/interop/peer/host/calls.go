// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
	"github.com/reattach/reattach/test/interop/peer/store"
)

func (h *Host) stub(name string) (store.Stub, error) {
	c, err := h.client(name)
	if err != nil {
		return nil, err
	}
	return c.dispensed()
}

// Put keeps a value in the plugin.
func (h *Host) Put(e hostapi.Entry, _ *hostapi.None) error {
	stub, err := h.stub(e.Name)
	if err != nil {
		return err
	}
	return stub.Put(e.Key, e.Value)
}

// Get answers a value of the plugin.
func (h *Host) Get(e hostapi.Entry, out *hostapi.Entry) error {
	stub, err := h.stub(e.Name)
	if err != nil {
		return err
	}
	out.Key = e.Key
	out.Value, err = stub.Get(e.Key)
	return err
}

// Blob puts a large value and gets it back.
func (h *Host) Blob(b hostapi.Blob, out *hostapi.Outcome) error {
	stub, err := h.stub(b.Name)
	if err != nil {
		return err
	}
	value := bytes.Repeat([]byte("0123456789abcdef"), b.Size/16)
	if err := stub.Put("blob", value); err != nil {
		return err
	}
	got, err := stub.Get("blob")
	if err != nil {
		return err
	}
	if !bytes.Equal(got, value) {
		return fmt.Errorf("put %d bytes and got %d others", len(value), len(got))
	}
	sum := sha256.Sum256(got)
	*out = hostapi.Outcome{N: int64(len(got)), Text: hex.EncodeToString(sum[:4])}
	return nil
}

// Act passes an action to the plugin.
func (h *Host) Act(a hostapi.Action, out *hostapi.Outcome) error {
	stub, err := h.stub(a.Name)
	if err != nil {
		return err
	}
	start := time.Now()
	got, err := stub.Act(store.Action{Do: a.Do, Text: a.Text, N: a.N})
	*out = hostapi.Outcome{Text: got.Text, N: got.N, MS: time.Since(start).Milliseconds()}
	return err
}

// Try passes an action to the plugin and answers how it failed.
func (h *Host) Try(a hostapi.Action, out *hostapi.Failure) error {
	stub, err := h.stub(a.Name)
	if err != nil {
		return err
	}
	if _, err := stub.Act(store.Action{Do: a.Do, Text: a.Text, N: a.N}); err != nil {
		*out = hostapi.Failure{Text: err.Error(), Lost: connectionLost(err)}
	}
	return nil
}

// List streams entries from the plugin.
func (h *Host) List(c hostapi.Count, out *hostapi.Outcome) error {
	stub, err := h.stub(c.Name)
	if err != nil {
		return err
	}
	out.N, err = stub.List(c.Count)
	return err
}

// Echo exchanges entries with the plugin.
func (h *Host) Echo(c hostapi.Count, out *hostapi.Outcome) error {
	stub, err := h.stub(c.Name)
	if err != nil {
		return err
	}
	out.N, err = stub.Echo(c.Count)
	return err
}

// UseCallback lets the plugin call back, to an adder of the client's name.
func (h *Host) UseCallback(c hostapi.Count, out *hostapi.Outcome) error {
	stub, err := h.stub(c.Name)
	if err != nil {
		return err
	}
	got, err := stub.UseCallback(store.NamedAdder(c.Name), c.Count)
	*out = hostapi.Outcome{Text: got.Text, N: got.N}
	return err
}

// OpenCallback calls an adder of the plugin over the broker.
func (h *Host) OpenCallback(c hostapi.Count, out *hostapi.Outcome) error {
	stub, err := h.stub(c.Name)
	if err != nil {
		return err
	}
	adder, stop, err := stub.OpenCallback()
	if err != nil {
		return err
	}
	sum, err := adder.Add(c.Count, 1)
	if err != nil {
		_ = stop()
		return err
	}
	*out = hostapi.Outcome{Text: sum.By, N: sum.Sum}
	return stop()
}

// Load calls the plugin as often as it can, or once for each sleep.
func (h *Host) Load(l hostapi.Load, out *hostapi.LoadResult) error {
	stub, err := h.stub(l.Name)
	if err != nil {
		return err
	}
	run := &load{name: l.Name, stub: stub}
	if len(l.SleepMS) > 0 {
		run.sleeps(l.SleepMS)
	} else {
		run.calls(time.Duration(l.ForMS)*time.Millisecond, l.Callback)
	}
	*out = hostapi.LoadResult{Calls: run.done.Load(), Failed: run.failed.Load(), Swapped: run.swapped.Load()}
	if first := run.first.Load(); first != nil {
		out.FirstErr = *first
	}
	return nil
}

// load counts the calls of one Load.
type load struct {
	name    string
	stub    store.Stub
	done    atomic.Int64
	failed  atomic.Int64
	swapped atomic.Int64
	first   atomic.Pointer[string]
}

func (l *load) count(err error) {
	l.done.Add(1)
	if err != nil {
		l.failed.Add(1)
		text := err.Error()
		l.first.CompareAndSwap(nil, &text)
	}
}

func (l *load) calls(how time.Duration, callback bool) {
	for end := time.Now().Add(how); time.Now().Before(end) && l.failed.Load() == 0; {
		l.count(l.stub.Put(l.name, []byte(l.name)))
		value, err := l.stub.Get(l.name)
		l.count(err)
		if err == nil && string(value) != l.name {
			l.swapped.Add(1)
		}
		if !callback {
			continue
		}
		out, err := l.stub.UseCallback(store.NamedAdder(l.name), 3)
		l.count(err)
		// 0+1, 1+1 and 2+1, added by the adder of this client.
		if err == nil && (out.N != 6 || out.Text != l.name) {
			l.swapped.Add(1)
		}
	}
}

func (l *load) sleeps(ms []int64) {
	var wg sync.WaitGroup
	for i, each := range ms {
		wg.Go(func() {
			text := fmt.Sprintf("%s slept %d", l.name, i)
			out, err := l.stub.Act(store.Action{Do: store.Sleep, Text: text, N: each})
			l.count(err)
			if err == nil && out.Text != text {
				l.swapped.Add(1)
			}
		})
	}
	wg.Wait()
}
