// SPDX-License-Identifier: MPL-2.0

// Command sohost calls the counter in the shared objects of a directory, for a while,
// through daemons of which each has little time to end. It prints what its callers were
// told, a line of JSON for each call.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/so"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/chaos/caller"
	"github.com/reattach/reattach/test/chaos/counter"
)

func main() {
	dir := flag.String("dir", "", "directory of the shared objects")
	protocol := flag.String("protocol", "netrpc", "netrpc or grpc")
	lasts := flag.Duration("for", time.Second, "for how long to call")
	callers := flag.Int("callers", 1, "how many call at the same time")
	flag.Parse()
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewEncoder(out)
	began := time.Now()
	for life := 0; time.Since(began) < *lasts; life++ {
		calls, err := live(*dir, *protocol, caller.Load{Callers: *callers, Panics: true, Prefix: fmt.Sprintf("so%d", life)})
		if err != nil {
			fmt.Fprintln(os.Stderr, "sohost:", err)
			os.Exit(1)
		}
		for _, call := range calls {
			_ = lines.Encode(call) // Flush has the error.
		}
	}
	if err := out.Flush(); err != nil {
		os.Exit(1)
	}
}

// live is the life of one daemon, which ends under its callers.
func live(dir, protocol string, load caller.Load) ([]caller.Call, error) {
	o := daemon.DefaultOptions()
	o.Handshake, o.Kinds, o.PluginDir = counter.Handshake(), caller.Kinds(protocol), dir
	o.DrainTimeout = time.Millisecond // shorter than a call
	o.Dialers = map[target.Placement]func(attach.Contract) (conn.Dialer, error){
		target.InProcess: func(shared attach.Contract) (conn.Dialer, error) { return so.Dialer(so.Options{Contract: shared}) },
	}
	d, err := daemon.New(o)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = d.Run(ctx) // Its calls are cut off, which it says.
	}()
	defer func() {
		stop()
		<-ended
	}()
	c, err := daemon.Dispense[counter.Counter](ctx, d, "counter", counter.Kind)
	if err != nil {
		return nil, err
	}
	callers := caller.Start(c, load)
	<-time.After(time.Duration(200+rand.IntN(400)) * time.Millisecond)
	stop()
	<-time.After(30 * time.Millisecond) // Some calls begin while the daemon ends, and after it.
	return callers.Stop(), nil
}
