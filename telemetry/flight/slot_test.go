package flight

import (
	"reflect"
	"testing"
)

// The ring's memory is what the documentation says, and holds no pointers that
// the garbage collector would follow.
func TestSlotIsSmall(t *testing.T) {
	t.Parallel()
	if got := reflect.TypeFor[slot]().Size(); got != 96 {
		t.Errorf("a slot has %d bytes, want 96", got)
	}
}

func TestStepsOfThePace(t *testing.T) {
	t.Parallel()
	for ns := int64(1); ns < 1<<50; ns += ns/7 + 1 {
		b := paceBucket(ns)
		if edge := paceEdge(b); edge < ns || ns > 16 && float64(edge) > 1.13*float64(ns)+1 {
			t.Errorf("%d ns is on step %d, which ends at %d", ns, b, edge)
		}
		if edge := paceEdge(b); edge >= paceFine && paceBucket(edge) != b {
			t.Errorf("step %d ends at %d, which is on step %d", b, edge, paceBucket(edge))
		}
	}
}
