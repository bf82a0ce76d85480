package attachments

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/colloquyhq/colloquy/conversation"
)

// Who a file comes from.
const (
	fromVisitor = "visitor" // or their provider
	fromAgent   = "agent"
)

// Why a file was not taken.
const (
	refusedTooLarge   = "too_large"
	refusedType       = "media_type"
	refusedQuota      = "quota"
	refusedOverloaded = "overloaded"
	refusedOther      = "other"
)

type metrics struct {
	saved   *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	refused *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		saved: f.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_attachments_saved_total", Help: "Files that were taken in.",
		}, []string{"from"}),
		bytes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_attachments_saved_bytes_total", Help: "Bytes of the files that were taken in.",
		}, []string{"from"}),
		refused: f.NewCounterVec(prometheus.CounterOpts{
			Name: "colloquy_attachments_refused_total", Help: "Files that were not taken in, by reason.",
		}, []string{"reason"}),
	}
	for _, from := range []string{fromVisitor, fromAgent} {
		m.saved.WithLabelValues(from)
		m.bytes.WithLabelValues(from)
	}
	for _, r := range []string{refusedTooLarge, refusedType, refusedQuota, refusedOverloaded, refusedOther} {
		m.refused.WithLabelValues(r)
	}
	return m
}

func (m *metrics) count(u conversation.Upload, size int64, err error) {
	if err != nil {
		m.refused.WithLabelValues(reasonOf(err)).Inc()
		return
	}
	from := fromVisitor
	if u.Agent != "" {
		from = fromAgent
	}
	m.saved.WithLabelValues(from).Inc()
	m.bytes.WithLabelValues(from).Add(float64(size))
}

func reasonOf(err error) string {
	switch code := conversation.CodeOf(err); {
	case code == conversation.CodeQuota:
		return refusedQuota
	case code == conversation.CodeMediaType:
		return refusedType
	case errors.Is(err, conversation.ErrTooLarge):
		return refusedTooLarge
	case errors.Is(err, conversation.ErrOverloaded):
		return refusedOverloaded
	}
	return refusedOther
}
