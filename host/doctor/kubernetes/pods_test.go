// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/reattach/reattach/host/doctor"
)

// waiting is a container that waits for something.
func waiting(reason string) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "plugin", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: "told"}},
	}}}
}

// running is a container that runs, and has ended before if end is set.
func running(end *corev1.ContainerStateTerminated) corev1.PodStatus {
	return corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "plugin", RestartCount: 3, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}},
		LastTerminationState: corev1.ContainerState{Terminated: end},
	}}}
}

// maker is the Deployment of a plugin.
func maker(replicas int) deployment {
	var d deployment
	d.Kind, d.Metadata.Name, d.Metadata.Namespace, d.Spec.Replicas = "Deployment", "zh", "default", &replicas
	d.Spec.Template.Labels = map[string]string{"app": "zh"}
	return d
}

// written has the slices that somebody wrote, and makes none of pods.
type written struct{ *Manifests }

func (w written) slices(context.Context, string, string) ([]discoveryv1.EndpointSlice, error) {
	return w.allSlices, nil
}

// TestPods gives the pods of a plugin a status each, as kubelets write them.
func TestPods(t *testing.T) {
	began := metav1.NewTime(time.Now().Add(-time.Hour))
	creating := waiting("ContainerCreating")
	creating.StartTime = &began
	unscheduled := corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"}}}
	crashed := running(&corev1.ContainerStateTerminated{ExitCode: 1, Reason: "Error", Message: "This binary is a plugin"})
	sidecar := waiting("ImagePullBackOff")
	sidecar.InitContainerStatuses, sidecar.ContainerStatuses = sidecar.ContainerStatuses, nil
	gated := ready()
	gated.Conditions[0].Status = corev1.ConditionFalse
	cases := map[string]struct {
		reason string
		pods   []corev1.PodStatus
		change func(*Manifests)
		want   doctor.Code
		says   string
		warns  doctor.Code
	}{
		"ready":          {"nothing is wrong", []corev1.PodStatus{ready(), ready()}, nil, "", "", ""},
		"one is not":     {"calls work", []corev1.PodStatus{waiting("ErrImagePull"), ready()}, nil, "", "", doctor.NoImage},
		"not scheduled":  {"the scheduler's words", []corev1.PodStatus{unscheduled}, nil, doctor.NotScheduled, "0/3 nodes", ""},
		"image":          {"the kubelet's words", []corev1.PodStatus{waiting("ErrImageNeverPull")}, nil, doctor.NoImage, "told", ""},
		"init container": {"it comes first", []corev1.PodStatus{sidecar}, nil, doctor.NoImage, "told", ""},
		"config":         {"a Secret is missing", []corev1.PodStatus{waiting("CreateContainerConfigError")}, nil, doctor.NotCreated, "told", ""},
		"long making":    {"a volume is missing", []corev1.PodStatus{creating}, nil, doctor.NotCreated, "for 1h", ""},
		"short making":   {"it has just begun", []corev1.PodStatus{waiting("ContainerCreating")}, nil, doctor.NotReady, "being made", ""},
		"crash loop":     {"it waits", []corev1.PodStatus{waiting("CrashLoopBackOff")}, nil, doctor.CrashLoop, "told", ""},
		"crashed":        {"its last end is told", []corev1.PodStatus{crashed}, nil, doctor.CrashLoop, "exit code 1 (Error) after 0s: This binary", ""},
		"unready":        {"it runs", []corev1.PodStatus{running(nil)}, nil, doctor.NotReady, "0 of 1 pods are ready; pod zh-0, container plugin: running for 0s", ""},
		"gate": {"nobody has set it", []corev1.PodStatus{gated}, func(m *Manifests) {
			m.allPods[0].Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "lb"}}
		}, doctor.NotReady, "gates lb", ""},
		"unready is offered": {"the Service says so", []corev1.PodStatus{running(nil)}, func(m *Manifests) {
			m.allServices[0].Spec.PublishNotReadyAddresses = true
		}, "", "", doctor.NotReady},
		"leaving": {"all of them", []corev1.PodStatus{ready()}, func(m *Manifests) {
			m.allPods[0].DeletionTimestamp = &began
		}, doctor.Leaving, "1 pods", ""},
		"ended": {"a pod of a Job", []corev1.PodStatus{{Phase: corev1.PodSucceeded}}, nil, doctor.NoPods, "have ended", ""},
		"scaled down": {"somebody wants none", nil, func(m *Manifests) { m.podless = []deployment{maker(0)} },
			doctor.NoPods, "Deployment zh makes such pods, and is scaled down to 0 replicas", ""},
		"not admitted": {"the API server's words", nil, func(m *Manifests) {
			m.podless = []deployment{maker(1)}
			m.podless[0].Status.Conditions = []condition{{"Available", "False", "minimum"}, {"ReplicaFailure", "True", "exceeded quota"}}
		}, doctor.NoPods, "Deployment zh makes such pods, and may not: exceeded quota", ""},
		"late slices": {"the slices have not seen the pods", []corev1.PodStatus{ready()}, func(m *Manifests) {
			m.allSlices = []discoveryv1.EndpointSlice{}
		}, doctor.NotInSlices, "1 pods are ready", ""},
		"no addresses": {"somebody else writes the slices", nil, func(m *Manifests) {
			m.allServices[0].Spec.Selector = nil
			unready := false
			m.allSlices = []discoveryv1.EndpointSlice{{
				ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Labels: map[string]string{discoveryv1.LabelServiceName: "zh"}},
				AddressType: discoveryv1.AddressTypeIPv4,
				Ports:       []discoveryv1.EndpointPort{{Name: new("plugin"), Port: new(int32(7000))}},
				Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &unready}}},
			}}
		}, doctor.NoEndpoints, "1 EndpointSlices, with 1 addresses", ""},
	}
	service := planned[strings.Index(planned, "apiVersion: v1\nkind: Service\nmetadata:\n"):strings.Index(planned, "---\napiVersion: networking")]
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := NewManifests("")
			if err := m.Read([]byte(strings.ReplaceAll(service, "targetPort: plugin", "targetPort: 7000"))); err != nil {
				t.Fatal(err)
			}
			for i, status := range tc.pods {
				p := corev1.Pod{Status: status}
				p.Name, p.Namespace, p.Labels = "zh-"+string(rune('0'+i)), "default", map[string]string{"app": "zh"}
				m.allPods = append(m.allPods, p)
			}
			if tc.change != nil {
				tc.change(m)
			}
			w := &walk{from: m, namespace: "default", name: "zh"}
			if m.allSlices != nil {
				w.from = written{m}
			}
			found, warnings := findings(t, []doctor.Way{w.way()})
			if found == nil {
				found = new(doctor.Finding)
			}
			if found.Code != tc.want || !strings.Contains(found.Seen, tc.says) {
				t.Errorf("%s: %+v, want %s with %q", tc.reason, found, tc.want, tc.says)
			}
			if tc.warns != "" && (len(warnings) != 1 || warnings[0] != tc.warns) || tc.warns == "" && len(warnings) > 0 {
				t.Errorf("%s: warnings %v, want %s", tc.reason, warnings, tc.warns)
			}
		})
	}
}
