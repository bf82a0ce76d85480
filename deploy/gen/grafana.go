package main

import "fmt"

// object is a piece of a dashboard as Grafana stores it. Its model has hundreds
// of fields with good defaults; only those that say something are set.
type object = map[string]any

const (
	schemaVersion = 39 // of Grafana 10 and later
	pageWidth     = 24
	panelHeight   = 8
	usualWidth    = 8
)

func source() object { return object{"type": "prometheus", "uid": "${datasource}"} }

func grafana(b *board) object {
	return object{
		"uid": "colloquy-" + b.name, "title": b.title, "description": b.about, "tags": []string{"colloquy"},
		"schemaVersion": schemaVersion, "version": 1, "editable": true, "graphTooltip": 1,
		"refresh": "30s", "time": object{"from": "now-1h", "to": "now"}, "timezone": "browser",
		"templating": object{"list": variables(b)},
		"links": []object{{
			"type": "dashboards", "title": "Colloquy", "tags": []string{"colloquy"}, "asDropdown": true, "includeVars": true, "keepTime": true,
		}},
		"annotations": object{"list": []object{}},
		"panels":      panels(b),
	}
}

func variables(b *board) []object {
	info := "colloquy_build_info"
	if b.name == "ebpf" {
		info = "colloquy_ebpf_attached"
	}
	out := []object{
		{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
		labels("instance", "Node", fmt.Sprintf("label_values(%s, instance)", info)),
	}
	if b.sessions {
		out = append(out, labels("conversation", "Conversation", `label_values(colloquy_session_cpu_seconds_total{instance=~"$instance"}, conversation)`))
	}
	return out
}

// labels is a variable with the values of a label, of which several can be
// chosen.
func labels(name, label, query string) object {
	return object{
		"name": name, "label": label, "type": "query", "datasource": source(), "query": object{"query": query, "refId": name},
		"refresh": 2, "includeAll": true, "allValue": ".+", "multi": true, "sort": 1,
		"current": object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}},
	}
}

// panels lays the panels out in rows, from left to right.
func panels(b *board) []object {
	var out []object
	x, y := 0, 0
	for i := range b.panels {
		p := &b.panels[i]
		width := p.width
		if width == 0 {
			width = usualWidth
		}
		if x+width > pageWidth {
			x, y = 0, y+panelHeight
		}
		drawn := draw(p)
		drawn["id"] = i + 1
		drawn["gridPos"] = object{"x": x, "y": y, "w": width, "h": panelHeight}
		out = append(out, drawn)
		x += width
	}
	return out
}

func draw(p *panel) object {
	out := object{
		"title": p.title, "description": p.about, "datasource": source(), "targets": targets(p),
		"fieldConfig": object{"defaults": object{"unit": string(p.unit), "min": 0}, "overrides": []object{}},
	}
	switch p.shape {
	case lines:
		out["type"] = "timeseries"
		out["options"] = object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	case table:
		out["type"] = "table"
		out["options"] = object{"sortBy": []object{{"displayName": "Value", "desc": true}}}
		out["transformations"] = []object{{"id": "organize", "options": object{"excludeByName": object{"Time": true}}}}
	case heat:
		out["type"] = "heatmap"
		out["options"] = object{
			"calculate": false, "yAxis": object{"unit": string(p.unit)}, "exemplars": object{"color": "rgba(255,0,255,0.7)"},
			"color": object{"mode": "scheme", "scheme": "Oranges", "steps": 64},
		}
	}
	return out
}

func targets(p *panel) []object {
	var out []object
	for i := range p.queries {
		q := &p.queries[i]
		t := object{
			"refId": string(rune('A' + i)), "datasource": source(), "expr": q.promQL(), "legendFormat": q.name(), "range": true, "exemplar": q.of == quantile || q.of == grown,
		}
		switch p.shape {
		case lines:
		case table:
			t["format"], t["instant"], t["range"] = "table", true, false
		case heat:
			t["format"] = "heatmap"
		}
		out = append(out, t)
	}
	return out
}
