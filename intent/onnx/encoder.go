package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"

	ort "github.com/yalue/onnxruntime_go"
)

// encoderOptions say which encoder is run, and how.
type encoderOptions struct {
	library    string // shared library of ONNX Runtime
	model      string
	vocabulary string
	cased      bool
	prefix     string
	threads    int
}

// encoder turns texts into vectors of length 1.
//
// Concurrency: its methods may run together.
type encoder struct {
	tokens  *tokenizer
	prefix  string
	session *ort.DynamicAdvancedSession
	inputs  []string
	pooled  bool // the model gives one vector a text, and not one a token
	size    int
}

// What encoders of the BERT family call their inputs.
const (
	inputIDs   = "input_ids"
	inputMask  = "attention_mask"
	inputTypes = "token_type_ids"
)

// openEncoder loads runtime and model, and tries it once.
func openEncoder(o encoderOptions) (*encoder, error) {
	tokens, err := readVocabulary(o.vocabulary, o.cased)
	if err != nil {
		return nil, err
	}
	for _, f := range []string{o.library, o.model} {
		if info, err := os.Stat(f); err != nil {
			return nil, err
		} else if info.IsDir() {
			return nil, fmt.Errorf("%s is a folder", f)
		}
	}
	ort.SetSharedLibraryPath(o.library)
	if err := ort.InitializeEnvironment(); err != nil {
		return nil, fmt.Errorf("%s: %w", o.library, err)
	}
	e := &encoder{tokens: tokens, prefix: o.prefix}
	if err := e.open(o); err != nil {
		e.close()
		return nil, fmt.Errorf("%s: %w", o.model, err)
	}
	return e, nil
}

func (e *encoder) open(o encoderOptions) error {
	inputs, outputs, err := ort.GetInputOutputInfo(o.model)
	if err != nil {
		return err
	}
	for _, in := range inputs {
		if !slices.Contains([]string{inputIDs, inputMask, inputTypes}, in.Name) || in.DataType != ort.TensorElementDataTypeInt64 {
			return fmt.Errorf("input %s of type %s: an encoder takes %s, %s and %s as int64", in.Name, in.DataType, inputIDs, inputMask, inputTypes)
		}
		e.inputs = append(e.inputs, in.Name)
	}
	if !slices.Contains(e.inputs, inputIDs) {
		return fmt.Errorf("there is no input %s", inputIDs)
	}
	out, err := chooseOutput(outputs)
	if err != nil {
		return err
	}
	e.pooled = len(out.Dimensions) == 2
	options, err := ort.NewSessionOptions()
	if err != nil {
		return err
	}
	defer func() { _ = options.Destroy() }()
	if err := errors.Join(options.SetIntraOpNumThreads(o.threads), options.SetInterOpNumThreads(1)); err != nil {
		return err
	}
	if e.session, err = ort.NewDynamicAdvancedSession(o.model, e.inputs, []string{out.Name}, options); err != nil {
		return err
	}
	one, err := e.encode([]string{"hello"})
	if err != nil {
		return err
	}
	e.size = len(one[0])
	return nil
}

// chooseOutput takes the sentence's vector where the model makes one, else the
// tokens'.
func chooseOutput(outputs []ort.InputOutputInfo) (ort.InputOutputInfo, error) {
	for _, dims := range []int{2, 3} {
		for _, o := range outputs {
			// BERT's own "pooler_output" was trained for another purpose.
			if len(o.Dimensions) == dims && o.DataType == ort.TensorElementDataTypeFloat && o.Name != "pooler_output" {
				return o, nil
			}
		}
	}
	return ort.InputOutputInfo{}, errors.New("no output is a vector a text or a token in float32")
}

// encode gives a vector of length 1 for each text.
func (e *encoder) encode(texts []string) ([][]float32, error) {
	batch := e.tokens.batch(e.prefix, texts)
	shape := ort.NewShape(int64(len(texts)), int64(batch.width))
	in := make([]ort.Value, len(e.inputs))
	defer func() {
		for _, v := range in {
			if v != nil {
				_ = v.Destroy()
			}
		}
	}()
	for i, name := range e.inputs {
		data := map[string][]int64{inputIDs: batch.ids, inputMask: batch.mask, inputTypes: make([]int64, len(batch.ids))}[name]
		t, err := ort.NewTensor(shape, data)
		if err != nil {
			return nil, err
		}
		in[i] = t
	}
	out := []ort.Value{nil}
	if err := e.session.Run(in, out); err != nil {
		return nil, err
	}
	defer func() { _ = out[0].Destroy() }()
	t, ok := out[0].(*ort.Tensor[float32])
	if !ok {
		return nil, errors.New("the model's output is not float32")
	}
	return pool(t.GetData(), t.GetShape(), &batch)
}

// pool makes one vector a text: the mean of its tokens', or what the model gives.
func pool(data []float32, shape ort.Shape, b *tokenBatch) ([][]float32, error) {
	texts := len(b.mask) / b.width
	want := texts
	if len(shape) == 3 {
		want *= b.width
	}
	if len(shape) < 2 || len(shape) > 3 || shape[0] != int64(texts) || len(data) == 0 || len(data)%want != 0 {
		return nil, fmt.Errorf("the model's output has the shape %v for %d texts of %d tokens", shape, texts, b.width)
	}
	size := len(data) / want
	out := make([][]float32, texts)
	for i := range out {
		v := make([]float32, size)
		if len(shape) == 2 {
			copy(v, data[i*size:])
		} else {
			addTokens(v, data[i*b.width*size:(i+1)*b.width*size], b.mask[i*b.width:(i+1)*b.width])
		}
		if err := toUnit(v); err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func addTokens(v, tokens []float32, mask []int64) {
	for j, m := range mask {
		if m == 0 {
			continue
		}
		for k, x := range tokens[j*len(v) : (j+1)*len(v)] {
			v[k] += x
		}
	}
}

// toUnit makes the length of v one.
func toUnit(v []float32) error {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	length := math.Sqrt(sum)
	if math.IsNaN(length) || math.IsInf(length, 0) || length == 0 {
		return errors.New("the model gives a vector that is no direction")
	}
	for i := range v {
		v[i] = float32(float64(v[i]) / length)
	}
	return nil
}

func (e *encoder) close() {
	if e.session != nil {
		_ = e.session.Destroy()
	}
	_ = ort.DestroyEnvironment()
}
