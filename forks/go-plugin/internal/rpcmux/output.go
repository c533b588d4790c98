// SPDX-License-Identifier: MPL-2.0

package rpcmux

import "sync"

// Numbers of the plugin's streams in messages.
const (
	stdoutOutput = 1
	stderrOutput = 2
)

// maxOutput is how many bytes of output one message has at most.
const maxOutput = 64 << 10

// outputFeed sends the plugin's output to the host, a piece for each credit.
type outputFeed struct {
	credits chan struct{}
	next    func() (stderr bool, data []byte, err error)
	stop    func()
	worker  sync.WaitGroup
}

// giveOutput takes a credit of the host. The first begins the feed.
func (p *Plugin) giveOutput() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil || p.config.Subscribe == nil {
		return
	}
	if p.feed == nil {
		f := &outputFeed{credits: make(chan struct{}, 1)}
		f.next, f.stop = p.config.Subscribe()
		f.worker.Go(func() { f.run(p) })
		p.feed = f
	}
	select {
	case p.feed.credits <- struct{}{}:
	default: // One that is not used up is as good as two.
	}
}

func (f *outputFeed) run(p *Plugin) {
	for {
		stderr, data, err := f.next()
		if err != nil {
			return
		}
		for len(data) > 0 {
			select {
			case <-f.credits:
			case <-p.done:
				return
			}
			piece := data[:min(len(data), maxOutput)]
			data = data[len(piece):]
			if p.sendOutput(stderr, piece) != nil {
				return
			}
		}
	}
}

func (p *Plugin) sendOutput(stderr bool, data []byte) error {
	b := newMessage(output)
	if stderr {
		b.number(stderrOutput)
	} else {
		b.number(stdoutOutput)
	}
	b.data = append(b.data, data...)
	return p.send(b)
}

// end ends the feed and waits for it.
func (f *outputFeed) end() {
	f.stop()
	f.worker.Wait()
}
