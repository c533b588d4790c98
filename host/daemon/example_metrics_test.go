// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
)

// A program with a server of its own serves the daemon's metrics beside its others.
func ExampleOptions_metrics() {
	address, stop := servePolite()
	defer stop()
	opts := greeterOptions(address)
	mux := http.NewServeMux()

	registry := prometheus.NewRegistry()
	opts.Registerer = registry
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	d, end := greeters(opts)
	greeter, err := daemon.Dispense[commons.Greeter](context.Background(), d, "en", commons.GreeterKind)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeter.Greet("Ada"))
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "reattach_calls_total") {
			fmt.Println(lines.Text())
		}
	}
	fmt.Println(end())
	// Output:
	// Hello Ada <nil>
	// reattach_calls_total{error_source="none",kind="greeter",method="Greet",plugin="en"} 1
	// <nil>
}
