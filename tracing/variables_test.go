// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/kit"
)

var write = flag.Bool("write", false, "write the table of variables into the page instead of comparing it")

// variables are those that decide whether there are traces, and those of the SDK that are
// set most.
var variables = [][3]string{
	{exporterVar, "", "`otlp` turns traces on, `none` off; nothing else is known, which `expose` and `attach` only warn of"},
	{endpointVar + "`, `" + tracesEndpointVar, "", "where to send them; either turns them on if `" + exporterVar + "` is not set"},
	{protocolVar + "`, `" + tracesProtocolVar, "http/protobuf", "`http/protobuf` or `grpc`; the second variable wins"},
	{disabledVar, "false", "`true` turns them off, whatever else is set"},
	{"OTEL_SERVICE_NAME", "the program's name", "what the spans' service is called; a child is named after `PLUGIN_NAME` or its executable; `expose` and `attach` leave it to the executable and to the host, and take `BASIC_OTEL_SERVICE_NAME`"},
	{"OTEL_RESOURCE_ATTRIBUTES", "", "further attributes of the process, `key=value` with commas between"},
	{"OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG", "parentbased_always_on", "which calls are shown, such as `parentbased_traceidratio` and `0.01`"},
	{"OTEL_EXPORTER_OTLP_HEADERS", "", "headers of each request, `key=value` with commas between"},
	{"OTEL_EXPORTER_OTLP_CERTIFICATE", "the system's", "file of the authority that vouches for the receiver"},
	{"OTEL_EXPORTER_OTLP_TIMEOUT", "10000", "how long one request may take, in milliseconds"},
	{"OTEL_BSP_MAX_QUEUE_SIZE", "2048", "how many spans may wait to be sent; those beyond are dropped"},
	{"OTEL_BSP_SCHEDULE_DELAY", "5000", "how long they wait for more, in milliseconds"},
}

// TestVariables holds that the table of docs/reference.md is this one. host/generate.sh
// writes it anew.
func TestVariables(t *testing.T) {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range variables {
		usual := v[1]
		if usual != "" && !strings.HasPrefix(usual, "the ") {
			usual = "`" + usual + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v[0], usual, v[2])
	}
	kit.Section(t, "../docs/reference.md", "<!-- traces: begin -->\n", "<!-- traces: end -->", b.String(), "host/generate.sh", *write)
}
