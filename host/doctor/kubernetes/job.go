// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/reattach/reattach/host/doctor"
)

const (
	// jobTime is how long a Job may take, with the image to be fetched.
	jobTime = 2 * time.Minute
	// jobKept is how long the cluster keeps a Job that could not be deleted.
	jobKept = time.Minute
	// jobPoll is how often the Job's pod is looked at.
	jobPoll = 250 * time.Millisecond
	// maxJobLog is how much of the pod's log is read, in bytes.
	maxJobLog = 4 << 20
)

// gate keeps the doctor's pod out of every Service: nobody ever sets it.
const gate corev1.PodConditionType = "reattach.dev/doctor"

// job is what is written of one.
type job struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   metav1.ObjectMeta `json:"metadata"`
	Spec       struct {
		BackoffLimit            int                    `json:"backoffLimit"`
		ActiveDeadlineSeconds   int                    `json:"activeDeadlineSeconds"`
		TTLSecondsAfterFinished int                    `json:"ttlSecondsAfterFinished"`
		Template                corev1.PodTemplateSpec `json:"template"`
	} `json:"spec"`
}

// Inside runs the host's program with other arguments in a pod like the host's: with its
// image, environment, files, labels and service account. It gives what the pod printed,
// and leaves nothing behind. A pod that does not come to run is a *doctor.Finding, and an
// error that matches doctor.ErrArguments says that the program did not take its arguments.
func (c *Cluster) Inside(ctx context.Context, q doctor.Question, args []string) ([]byte, error) {
	host, err := c.findHost(ctx, q)
	switch {
	case err != nil:
		return nil, err
	case host == nil:
		return nil, fmt.Errorf("no Deployment %s of the host was found: --host NAMESPACE/NAME says which it is", q.Program)
	}
	ctx, cancel := context.WithTimeout(ctx, jobTime)
	defer cancel()
	path := within("/apis/batch/v1", host.Namespace, "jobs")
	var made job
	if err := c.post(ctx, host.job(args), &made, path); err != nil {
		return nil, fmt.Errorf("create a Job in namespace %s: %w", host.Namespace, said(err))
	}
	defer c.remove(path + "/" + made.Metadata.Name)
	return c.printed(ctx, host.Namespace, made.Metadata.Name)
}

// said is what the API server says of a request, without what this client adds.
func said(err error) error {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return errors.New(status.ErrStatus.Message)
	}
	return err
}

// job is one whose pod is like the host's, and walks.
func (h *Host) job(args []string) job {
	j := job{APIVersion: "batch/v1", Kind: "Job"}
	j.Metadata.GenerateName = h.Name + "-doctor-"
	j.Metadata.Labels = map[string]string{"app.kubernetes.io/managed-by": "reattach-doctor"}
	j.Spec.ActiveDeadlineSeconds, j.Spec.TTLSecondsAfterFinished = int(jobTime/time.Second), int(jobKept/time.Second)
	template := h.template.DeepCopy()
	container := template.Spec.Containers[h.container()]
	container.Args, container.Ports = args, nil
	container.StartupProbe, container.ReadinessProbe, container.LivenessProbe, container.Lifecycle = nil, nil, nil, nil
	container.Env = append(slices.DeleteFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == "LOG_LEVEL" }),
		corev1.EnvVar{Name: "LOG_LEVEL", Value: "off"})
	template.ObjectMeta = metav1.ObjectMeta{Labels: template.Labels, Annotations: template.Annotations}
	template.Spec.Containers, template.Spec.InitContainers = []corev1.Container{container}, nil
	template.Spec.RestartPolicy, template.Spec.TopologySpreadConstraints = corev1.RestartPolicyNever, nil
	template.Spec.ReadinessGates = append(template.Spec.ReadinessGates, corev1.PodReadinessGate{ConditionType: gate})
	j.Spec.Template = *template
	return j
}

// printed waits until the Job's pod has ended, and gives its log.
func (c *Cluster) printed(ctx context.Context, namespace, name string) ([]byte, error) {
	tick := time.NewTicker(jobPoll)
	defer tick.Stop()
	for {
		pods, err := c.pods(ctx, namespace, labels.Set{"job-name": name})
		if err != nil {
			return nil, fmt.Errorf("look at the pod of Job %s/%s: %w", namespace, name, said(err))
		}
		var bad *doctor.Finding
		for i := range pods {
			if phase := pods[i].Status.Phase; phase == corev1.PodSucceeded || phase == corev1.PodFailed {
				raw, err := c.log(ctx, namespace, pods[i].Name)
				// A panic has the same exit code.
				if text := strings.TrimSpace(string(raw)); err == nil && exitCode(&pods[i]) == doctor.ExitArguments && !strings.Contains(text, "goroutine ") {
					return nil, fmt.Errorf("%w: %s", doctor.ErrArguments, text)
				}
				return raw, err
			}
			bad = podFinding(&pods[i])
		}
		if bad != nil && slices.Contains([]doctor.Code{doctor.NotScheduled, doctor.NoImage, doctor.NotCreated}, bad.Code) {
			bad.Subject = "the doctor's pod, which is as those of the host"
			return nil, bad
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("the pod of Job %s/%s has not ended within %s: %w", namespace, name, jobTime, ctx.Err())
		}
	}
}

// exitCode is that of the only container of a pod that has ended; zero if it is not told.
func exitCode(p *corev1.Pod) int32 {
	for _, s := range p.Status.ContainerStatuses {
		if end := s.State.Terminated; end != nil {
			return end.ExitCode
		}
	}
	return 0
}

func (c *Cluster) log(ctx context.Context, namespace, pod string) ([]byte, error) {
	raw, err := c.client.Get().AbsPath(within("/api/v1", namespace, "pods")+"/"+pod+"/log").
		Param("limitBytes", fmt.Sprint(maxJobLog)).DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log of pod %s/%s: %w", namespace, pod, said(refusal(raw, err)))
	}
	return raw, nil
}

// remove deletes a Job with its pod. Where it cannot, the cluster does so soon.
func (c *Cluster) remove(path string) {
	ctx, cancel := context.WithTimeout(context.Background(), jobKept)
	defer cancel()
	_, _ = c.client.Delete().AbsPath(path).Param("propagationPolicy", "Background").DoRaw(ctx)
}
