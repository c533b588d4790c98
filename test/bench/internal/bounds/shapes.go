// SPDX-License-Identifier: MPL-2.0

package bounds

import (
	"time"

	"github.com/reattach/reattach/test/bench/internal/series"
)

// The large messages that small calls are made beside: on a link of 4 MB/s, and as large
// as nearly fits the fork's bound on a message, on the loopback interface.
var (
	LinkRequest     = series.Beside{Bytes: 20e6, Rate: 4e6}
	LinkReply       = series.Beside{Bytes: 20e6, Rate: 4e6, Reply: true}
	LoopbackRequest = series.Beside{Bytes: 63 << 20}
	LoopbackReply   = series.Beside{Bytes: 63 << 20, Reply: true}
)

// AtRest is how many endpoints a bound speaks of that nobody calls.
const AtRest = series.Idle(1000)

// besides bounds how long calls wait for each other's bytes.
func besides() []Bound {
	var all []Bound
	for _, s := range []struct {
		subject, protocol string
		loopback          time.Duration // known; zero where it is kept
	}{{"routed-1-netrpc", "net/rpc", 0}, {"routed-1-grpc", "gRPC", 200 * time.Millisecond}} {
		for _, b := range []series.Beside{LinkRequest, LinkReply} {
			all = append(all,
				absolute(float64(300*time.Millisecond), s.protocol+": 99 of 100 small calls "+b.String(), s.subject, b.P99()),
				// What is not answered in a second, and what comes of that.
				amount(0, Count, s.protocol+": calls not answered "+b.String(), s.subject, b.Failed()),
				absolute(1.1*float64(b.Needs()), s.protocol+": the large call itself, "+b.String(), s.subject, b.Large()),
			)
		}
		for _, b := range []series.Beside{LoopbackRequest, LoopbackReply} {
			all = append(all, absolute(float64(10*time.Millisecond), s.protocol+": 99 of 100 small calls "+b.String(), s.subject, b.P99()).known(float64(s.loopback)))
		}
	}
	return all
}

func streaming() []Bound {
	var all []Bound
	for _, m := range []struct {
		measure, text string
	}{{series.Feed, "to the host"}, {series.Pour, "to the plugin"}} {
		b := atMost(1.2, "network gRPC / bare gRPC over TCP, messages of 1 KiB in a stream "+m.text, "network-grpc", "bare-grpc", m.measure)
		b.Throughput, b.AtLeast = true, true
		all = append(all, b)
	}
	return all
}

func resting() []Bound {
	const subject, who = "fleet-grpc", "1,000 gRPC endpoints at rest, "
	return []Bound{
		amount(0.03, Share, who+"CPU of the host", subject, AtRest.HostCPU()),
		amount(0.03, Share, who+"CPU of the plugins", subject, AtRest.PluginCPU()),
		amount(6, Count, who+"goroutines of each", subject, AtRest.Goroutines()),
		amount(90e3, Bytes, who+"memory of each", subject, AtRest.Memory()),
	}
}

func givingUp() []Bound {
	var all []Bound
	for _, s := range []struct{ subject, protocol string }{{"network-netrpc", "net/rpc"}, {"network-grpc", "gRPC"}} {
		who := "10,000 " + s.protocol + " calls given up after 1 ms, "
		all = append(all,
			amount(0, Count, who+"running 100 ms later", s.subject, series.CancelBusy),
			amount(0.02, Share, who+"CPU of both sides then", s.subject, series.CancelCPU),
			amount(1e6, Bytes, who+"memory of both sides then", s.subject, series.CancelMemory),
		)
	}
	return all
}
