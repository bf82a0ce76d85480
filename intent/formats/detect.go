package formats

import (
	"cmp"
	"slices"
	"strings"

	"github.com/colloquyhq/colloquy/conversation"
)

// Detect finds out which format the files are in.
// Errors: class [conversation.ErrInvalid] when they are of none or of several.
func Detect(in *Input) (Format, error) {
	var found []Format
	if len(in.ending(".xlsx", ".xlsm", ".xls", ".ods")) > 0 {
		found = append(found, XLSX)
	}
	if isDialogflow(in) {
		return Dialogflow, nil // its package holds other JSON files as well
	}
	own := false
	var unreadable error
	for _, f := range in.ending(".yml", ".yaml", ".json", ".md") {
		format, pack, err := detectText(f)
		own, unreadable = own || pack, cmp.Or(unreadable, err)
		if format != "" && !slices.Contains(found, format) {
			found = append(found, format)
		}
	}
	if !slices.Contains(found, Rasa) && len(in.ending(".csv", ".tsv", ".txt")) > 0 { // Rasa has look-ups in text files
		found = append(found, CSV)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", conversation.Refusef(conversation.CodeInvalid, "%s holds files of several formats (%s); say with --format which to read", in.name, joinFormats(found))
	case unreadable != nil:
		return "", unreadable
	case own:
		return "", conversation.Refusef(conversation.CodeInvalid, "%s is a pack already; put it into the folder of packs", in.name)
	}
	return "", conversation.Refusef(conversation.CodeInvalid,
		"%s holds nothing that can be read: .xlsx, .csv, Rasa (nlu.yml, nlu.md), Dialogflow ES (intents/*.json) and CX (agent.json), Botpress 12 (qna.json)", in.name)
}

func joinFormats(all []Format) string {
	var out []string
	for _, f := range all {
		out = append(out, string(f))
	}
	return strings.Join(out, ", ")
}

// detectText judges one file by what stands in it; pack says that it is one of
// this program's own.
func detectText(f *inputFile) (format Format, pack bool, unreadable error) {
	lower := strings.ToLower(f.name)
	if strings.HasSuffix(lower, ".md") {
		if strings.Contains(string(f.content), "## intent:") {
			return Rasa, false, nil
		}
		return "", false, nil
	}
	n, err := parseDocument(f)
	switch {
	case err != nil && (strings.HasSuffix(lower, "nlu.yml") || strings.HasSuffix(lower, "domain.yml")):
		return Rasa, false, nil // whose reader says what is wrong
	case err != nil:
		return "", false, err
	case n.has("colloquy"):
		return "", true, nil
	case strings.HasSuffix(lower, ".json") && isBotpress(n):
		return Botpress, false, nil
	case n.has("nlu"), n.has("rasa_nlu_data"), n.has("responses") && n.has("intents"):
		return Rasa, false, nil
	}
	return "", false, nil
}
