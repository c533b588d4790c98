// SPDX-License-Identifier: MPL-2.0

// Program argo is a plugin of Argo Rollouts, over net/rpc: a provider of metrics
// and a step of a rollout.
package main

import (
	"fmt"

	metric "github.com/argoproj/argo-rollouts/metricproviders/plugin/rpc"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	step "github.com/argoproj/argo-rollouts/rollout/steps/plugin/rpc"
	"github.com/argoproj/argo-rollouts/utils/plugin/types"
	"github.com/hashicorp/go-plugin"
)

func main() {
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			ProtocolVersion:  1,
			MagicCookieKey:   "ARGO_ROLLOUTS_RPC_PLUGIN",
			MagicCookieValue: "metricprovider",
		},
		Plugins: plugin.PluginSet{
			"RpcMetricProviderPlugin": &metric.RpcMetricProviderPlugin{Impl: metrics{}},
			"RpcStepPlugin":           &step.RpcStepPlugin{Impl: steps{}},
		},
	})
}

// metrics measures whatever it is asked for. A measurement holds the name of the
// host's run: that tells whether hosts are mixed up.
type metrics struct{}

func (metrics) InitPlugin() types.RpcError { return types.RpcError{} }

func (metrics) Run(run *v1alpha1.AnalysisRun, metric v1alpha1.Metric) v1alpha1.Measurement {
	if metric.Name == "bad" {
		return v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseError, Message: run.Name + " may not measure " + metric.Name}
	}
	return v1alpha1.Measurement{Phase: v1alpha1.AnalysisPhaseRunning, Metadata: map[string]string{"began": run.Name + " measures " + metric.Name}}
}

func (metrics) Resume(run *v1alpha1.AnalysisRun, metric v1alpha1.Metric, m v1alpha1.Measurement) v1alpha1.Measurement {
	m.Phase, m.Value = v1alpha1.AnalysisPhaseSuccessful, fmt.Sprintf("%s has measured %s", run.Name, metric.Name)
	return m
}

func (metrics) Terminate(run *v1alpha1.AnalysisRun, _ v1alpha1.Metric, m v1alpha1.Measurement) v1alpha1.Measurement {
	m.Phase, m.Message = v1alpha1.AnalysisPhaseFailed, run.Name+" has terminated it"
	return m
}

func (metrics) GarbageCollect(run *v1alpha1.AnalysisRun, _ v1alpha1.Metric, limit int) types.RpcError {
	return types.RpcError{ErrorString: fmt.Sprintf("%s keeps %d", run.Name, limit)}
}

func (metrics) Type() string { return "sample" }

func (metrics) GetMetadata(metric v1alpha1.Metric) map[string]string {
	return map[string]string{"resolved": metric.Name}
}

// steps is a step that takes two runs.
type steps struct{}

func (steps) InitPlugin() types.RpcError { return types.RpcError{} }

func (steps) Run(rollout *v1alpha1.Rollout, c *types.RpcStepContext) (types.RpcStepResult, types.RpcError) {
	if c == nil {
		return types.RpcStepResult{}, types.RpcError{ErrorString: "a step of " + rollout.Name + " has no context"}
	}
	return types.RpcStepResult{Phase: types.PhaseSuccessful, Message: rollout.Name + " ran with " + string(c.Config), Status: c.Status}, types.RpcError{}
}

func (steps) Terminate(rollout *v1alpha1.Rollout, _ *types.RpcStepContext) (types.RpcStepResult, types.RpcError) {
	return types.RpcStepResult{Phase: types.PhaseFailed, Message: rollout.Name + " terminated it"}, types.RpcError{}
}

func (steps) Abort(rollout *v1alpha1.Rollout, _ *types.RpcStepContext) (types.RpcStepResult, types.RpcError) {
	return types.RpcStepResult{Phase: types.PhaseFailed, Message: rollout.Name + " aborted it"}, types.RpcError{}
}

func (steps) Type() string { return "sample step" }
