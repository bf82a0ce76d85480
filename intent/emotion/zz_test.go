package emotion
import ("testing";"os";"bufio";"encoding/json";"fmt";"sort";"strings")
func TestZZ(t *testing.T){
 s,err:=New(); if err!=nil {t.Fatal(err)}
 for _,f:=range []string{"zh","en"} {
  h,_:=os.Open("testdata/"+os.Getenv("SET")+"_"+f+".jsonl"); sc:=bufio.NewScanner(h)
  type r struct{Text string;Angry,Threat,Abuse bool;Kind string; p Score}
  var all []r
  for sc.Scan(){var x r; json.Unmarshal(sc.Bytes(),&x); x.p=s.Score([]byte(x.Text)); all=append(all,x)}
  var y,n,ty,tn,ay,an []float32
  var pol []float32
  for _,x:=range all { if x.Angry {y=append(y,x.p.Anger)} else {n=append(n,x.p.Anger)}
   if x.Kind=="polite" {pol=append(pol,x.p.Anger)}
   if x.Threat {ty=append(ty,x.p.Threat)} else {tn=append(tn,x.p.Threat)}
   if x.Abuse {ay=append(ay,x.p.Abuse)} else {an=append(an,x.p.Abuse)} }
  fmt.Printf("%s anger %.4f threat %.4f abuse %.4f angry-vs-polite %.4f\n",f,AUROC(y,n),AUROC(ty,tn),AUROC(ay,an),AUROC(y,pol))
  for _,th:=range []float32{0.5,0.6,0.7,0.8,0.85,0.9,0.95} { c:=func(a []float32) float64 {k:=0;for _,v:=range a{if v>=th{k++}};return 100*float64(k)/float64(len(a))}; fmt.Printf("  %.2f angry %.1f not %.1f polite %.1f threat %.0f/%.1f abuse %.0f/%.1f\n",th,c(y),c(n),c(pol),c(ty),c(tn),c(ay),c(an)) }
  if os.Getenv("V")!="" {
  sort.Slice(all,func(i,j int)bool{return all[i].p.Anger>all[j].p.Anger})
  k:=0; for _,x:=range all { if !x.Angry && k<14 {k++; fmt.Printf("%.2f %s %s\n",x.p.Anger,x.Kind,x.Text)} }
  k=0; for i:=len(all)-1;i>=0;i-- { if x:=all[i]; x.Angry && k<25 {k++; fmt.Printf("%.2f %s\n",x.p.Anger,x.Text)} }
  }
 }
 for _,d:=range []struct{f,m string; col int}{{"ewect/usual_test.tsv","1",0},{"ewect/virus_test.tsv","1",0}} { h,_:=os.Open("/work/shared/data/"+d.f); sc:=bufio.NewScanner(h); var y,n []float32
  for sc.Scan(){ p:=strings.SplitN(sc.Text(),"\t",2); if len(p)<2||p[0]=="label"{continue}; v:=s.Score([]byte(p[1])).Anger; if p[0]==d.m {y=append(y,v)} else {n=append(n,v)} }
  fmt.Printf("%s %d %d %.4f\n",d.f,len(y),len(n),AUROC(y,n)) }
 h,_:=os.Open("/work/shared/data/goemotions/ekman_test.tsv"); sc:=bufio.NewScanner(h); var y,n []float32
 for sc.Scan(){ p:=strings.Split(sc.Text(),"\t"); v:=s.Score([]byte(p[0])).Anger; a:=false; for _,l:=range strings.Split(p[1],",") {a=a||l==os.Getenv("EK")}; if a {y=append(y,v)} else {n=append(n,v)} }
 fmt.Printf("ekman %d %d %.4f\n",len(y),len(n),AUROC(y,n))
}
