// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-plugin"
)

// childGrace is how long a child may take to end once it was asked to. go-plugin
// gives it two seconds, and then kills it.
const childGrace = 3 * time.Second

// startChild starts the executable at path and attaches to it.
func startChild(ctx context.Context, config *plugin.ClientConfig, path string) (*session, error) {
	if err := executable(path); err != nil {
		return nil, err
	}
	// The command outlives ctx: a child is asked to end before it is made to.
	running, abort := context.WithCancel(context.WithoutCancel(ctx))
	config.Cmd = exec.CommandContext(running, path)
	config.EndWithHost = true
	client := plugin.NewClient(config)
	leave := func() { leaveChild(client, abort) }
	protocol, err := within(ctx, config.StartTimeout, client.Client)
	if err != nil {
		leave()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	return &session{
		protocol: protocolName(client.Protocol()),
		version:  client.NegotiatedVersion(),
		dispense: protocol.Dispense,
		leave:    leave,
	}, nil
}

// leaveChild ends the child. Kill waits for a start that is still going on, so
// the process is aborted if Kill takes too long.
func leaveChild(client *plugin.Client, abort context.CancelFunc) {
	defer abort()
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		client.Kill()
	}()
	select {
	case <-killed:
	case <-time.After(childGrace):
		abort()
		<-killed
	}
}

// executable says why the file at path cannot be started.
func executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist, or links to nothing", path)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory, not an executable", path)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("%s is not executable: try chmod +x", path)
	}
	return nil
}
