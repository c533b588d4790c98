// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
	"github.com/reattach/reattach/test/interop/peer/store"
)

// envOutputRounds is how often TestOutputAtTheEnd tries each pair. Few rounds say
// nothing of how often a pair loses lines, but do of those that never may.
const envOutputRounds = "OUTPUT_ROUNDS"

const endLines = 500

// TestOutputAtTheEnd counts how often what a plugin wrote before it answered is
// with its host once the host has ended it, or its session, or once the plugin has
// exited. With both sides of the fork that is always, and with a plugin of the fork
// that has exited, too; how often it is otherwise is printed.
func TestOutputAtTheEnd(t *testing.T) {
	rounds := 5
	if text := os.Getenv(envOutputRounds); text != "" {
		var err error
		if rounds, err = strconv.Atoi(text); err != nil {
			t.Fatalf("%s: %v", envOutputRounds, err)
		}
	}
	sides := []side{upstream, fork}
	protocols(func(t *testing.T, protocol string) {
		for _, hostSide := range sides {
			for _, pluginSide := range sides {
				t.Run(fmt.Sprintf("child, host of %s, plugin of %s", hostSide, pluginSide), func(t *testing.T) {
					host := startHost(t, hostSide)
					plugin := single(protocol)
					client := func(name string) hostapi.Client {
						return hostapi.Client{
							Name: name, Path: peers(t).plugin(pluginSide),
							Versions: map[int]string{1: protocol}, Env: []string{plugin.Env()},
						}
					}
					countEnds(t, host, "killed", rounds, hostSide == fork && pluginSide == fork, client, host.kills)
					countEnds(t, host, "exits", rounds, pluginSide == fork, client, host.letsExit)
				})
			}
			t.Run(fmt.Sprintf("network, host of %s, plugin of %s", hostSide, fork), func(t *testing.T) {
				host := startHost(t, hostSide)
				p := startPod(t, fork, onNetwork(single(protocol)))
				countEnds(t, host, "killed", rounds, hostSide == fork, p.client, host.kills)
			})
		}
	})(t)
}

func (h *hostProc) kills(name string) {
	h.Must("Kill", hostapi.Named{Name: name}, &hostapi.None{})
}

// letsExit calls what ends the plugin, and waits for the rest of its output: a host
// of upstream does not.
func (h *hostProc) letsExit(name string) {
	_, _ = h.Act(name, store.Exit, "", 0) // There is no answer.
	kit.Within(time.Second, func() bool { return h.Output(name).Lines == endLines })
	h.kills(name)
}

// countEnds lets a plugin print and end, round after round.
func countEnds(t *testing.T, host *hostProc, how string, rounds int, always bool, client func(name string) hostapi.Client, end func(name string)) {
	t.Helper()
	complete, fewest := 0, int64(endLines)
	for i := range rounds {
		name := fmt.Sprint(how, i)
		host.Open(client(name))
		if _, err := host.Act(name, store.Flood, "", endLines*store.FloodLineSize); err != nil {
			t.Fatal(err)
		}
		end(name)
		lines := host.Output(name).Lines
		fewest = min(fewest, lines)
		if lines == endLines {
			complete++
		}
	}
	report(t, fmt.Sprintf("output before the end, %s, %s: complete in %d of %d rounds, fewest lines %d of %d", t.Name(), how, complete, rounds, fewest, endLines))
	if always && complete < rounds {
		t.Errorf("%s: output is missing in %d of %d rounds", how, rounds-complete, rounds)
	}
}
