// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	metric "github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	step "github.com/argoproj/argo-rollouts/rollout/steps/plugin/rpc"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	"github.com/hashicorp/go-plugin"
)

// argo is Argo Rollouts, whose plugins speak net/rpc.
func argo() system {
	return system{
		handshake: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "ARGO_ROLLOUTS_RPC_PLUGIN",
			MagicCookieValue: "metricprovider",
		},
		version:  1,
		protocol: plugin.ProtocolNetRPC,
		plugins: plugin.PluginSet{
			"RpcMetricProviderPlugin": &metric.RpcMetricProviderPlugin{},
			"RpcStepPlugin":           &step.RpcStepPlugin{},
		},
		converse: rollOut,
	}
}

// rollOut does what the controller does with the plugins of one rollout: it
// measures, and takes a step. The run and the rollout have the host's name.
func rollOut(_ context.Context, client plugin.ClientProtocol, out io.Writer, self string) error {
	say := func(what string, answer any) {
		fmt.Fprintln(out, strings.ReplaceAll(fmt.Sprintf("%s: %+v", what, answer), self, "MINE"))
	}
	provider, err := dispense[metric.MetricProviderPlugin](client, "RpcMetricProviderPlugin")
	if err != nil {
		return err
	}
	say("init", provider.InitPlugin().ErrorString)
	say("type", provider.Type())
	run := &v1alpha1.AnalysisRun{}
	run.Name = self
	for i := range 20 {
		measure(say, provider, run, fmt.Sprint("metric ", i))
	}
	say("refused", provider.Run(run, v1alpha1.Metric{Name: "bad"}))
	say("garbage", provider.GarbageCollect(run, v1alpha1.Metric{}, 7).ErrorString)

	taken, err := dispense[step.StepPlugin](client, "RpcStepPlugin")
	if err != nil {
		return err
	}
	say("step init", taken.InitPlugin().ErrorString)
	say("step type", taken.Type())
	rollout := &v1alpha1.Rollout{}
	rollout.Name = self
	settings := &types.RpcStepContext{PluginName: "sample", Config: json.RawMessage(`{"of":"` + self + `"}`), Status: json.RawMessage(`{"n":1}`)}
	sayStep := func(what string, result types.RpcStepResult, failure types.RpcError) {
		say(what, fmt.Sprintf("%s, %s, %s, error %q", result.Phase, result.Message, result.Status, failure.ErrorString))
	}
	result, failure := taken.Run(rollout, settings)
	sayStep("step", result, failure)
	result, failure = taken.Run(rollout, nil)
	sayStep("step without context", result, failure)
	result, failure = taken.Terminate(rollout, settings)
	sayStep("step terminated", result, failure)
	result, failure = taken.Abort(rollout, settings)
	sayStep("step aborted", result, failure)
	return nil
}

// measure takes one measurement to its end, and another one only halfway.
func measure(say func(string, any), provider metric.MetricProviderPlugin, run *v1alpha1.AnalysisRun, name string) {
	m := v1alpha1.Metric{Name: name}
	begun := provider.Run(run, m)
	say("run", begun)
	say("resume", provider.Resume(run, m, begun))
	say("terminate", provider.Terminate(run, m, begun))
	say("metadata", provider.GetMetadata(m))
}
