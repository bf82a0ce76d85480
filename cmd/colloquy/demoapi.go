package main

import (
	"encoding/json"
	"net/http"
	"time"
)

// both is a text in the demo's two languages.
type both struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// order is what the demo shop says about an order.
type order struct {
	OrderNo    string `json:"order_no"`
	Status     string `json:"status"`
	StatusText both   `json:"status_text"`
	ShipBy     string `json:"ship_by,omitempty"`
	Carrier    string `json:"carrier,omitempty"`
	Waybill    string `json:"waybill,omitempty"`
	ETA        string `json:"eta,omitempty"`
}

// serveOrder is the demo shop's own API: three orders in three states, with
// dates around today.
func serveOrder(w http.ResponseWriter, r *http.Request) {
	day := func(n int, clock string) string { return time.Now().AddDate(0, 0, n).Format("01-02") + clock }
	orders := map[string]order{
		"2023": {Status: "packing", StatusText: both{"正在配货", "being packed"}, ShipBy: day(1, " 18:00"), Carrier: "SF Express", ETA: day(3, "")},
		"2024": {Status: "shipped", StatusText: both{"已发货，运输中", "shipped and on its way"}, ShipBy: day(-1, " 16:20"), Carrier: "SF Express", Waybill: "SF1234567890123", ETA: day(1, "")},
		"2025": {Status: "delivered", StatusText: both{"已签收", "delivered"}, ShipBy: day(-4, " 10:05"), Carrier: "JD Logistics", Waybill: "JD0098765432101", ETA: day(-2, "")},
	}
	o, ok := orders[r.PathValue("no")]
	o.OrderNo = r.PathValue("no")
	answerJSON(w, o, ok)
}

// serveRefund answers for one refund.
func serveRefund(w http.ResponseWriter, r *http.Request) {
	answerJSON(w, map[string]any{
		"order_no": r.PathValue("no"), "status_text": both{"退款已审核，原路退回中", "approved and on its way back to your account"},
		"amount": "¥128.00", "arrives_by": time.Now().AddDate(0, 0, 2).Format("01-02"),
	}, r.PathValue("no") == "2025")
}

// serveStudent answers for one student of the demo school.
func serveStudent(w http.ResponseWriter, r *http.Request) {
	answerJSON(w, map[string]any{
		"student_no": r.PathValue("no"), "course": both{"雅思冲刺班", "IELTS intensive"}, "lessons_left": 12, "lessons_total": 48,
		"attendance": "96%", "next_lesson": time.Now().AddDate(0, 0, 2).Format("01-02") + " 19:30",
	}, r.PathValue("no") == "8801")
}

func answerJSON(w http.ResponseWriter, body any, found bool) { //nolint:revive // says whether there is a body
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if !found {
		w.WriteHeader(http.StatusNotFound)
		body = map[string]string{"error": "not found"}
	}
	_ = json.NewEncoder(w).Encode(body) // the caller is gone when this fails
}
