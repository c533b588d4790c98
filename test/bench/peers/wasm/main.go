// SPDX-License-Identifier: MPL-2.0

// Command wasm measures a plugin that is WebAssembly in the host's process.
package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"

	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/peers/wasm/greetwasm"
)

func main() {
	peer.Program{
		Subjects: []peer.Subject{{Name: "wasm", Open: func(*peer.Servers) (peer.Target, error) {
			return peer.AttachFunc(load), nil
		}}},
		Serve: func([]string) error { return errors.New("there is no server: the plugin is in the host") },
	}.Main()
}

// guest is the plugin's file, beside this program.
const guest = "guest.wasm"

func load() (peer.Session, error) {
	ctx := context.Background()
	loader, err := greetwasm.NewGreeterPlugin(ctx)
	if err != nil {
		return nil, err
	}
	plugin, err := loader.Load(ctx, filepath.Join(filepath.Dir(os.Args[0]), guest))
	if err != nil {
		return nil, err
	}
	return peer.NewSession(&caller{plugin: plugin}, func() error { return plugin.Close(ctx) }), nil
}

// caller is a greet.Greeter. An instance of a module has one stack: callers take turns.
type caller struct {
	mu     sync.Mutex
	plugin greetwasm.Greeter
}

func (c *caller) Greet(name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer, err := c.plugin.Greet(context.Background(), &greetwasm.GreetRequest{Name: name})
	return answer.GetGreeting(), err
}
