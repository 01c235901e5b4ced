package config
import ("testing";"fmt";"os";"reflect")
func TestQuick(t *testing.T){
 b,_:=os.ReadFile("/tmp/contract.yaml")
 c,w,err:=Parse("x.yaml",b,LoadOptions{})
 for _,x:=range w {fmt.Println("W",x)}
 fmt.Println(err)
 if err!=nil{return}
 out:=Print(c)
 fmt.Println(string(out))
 c2,_,err:=Parse("y",out,LoadOptions{})
 fmt.Println(err)
 if c2!=nil {c.src=nil;c2.src=nil; fmt.Println(reflect.DeepEqual(c,c2))}
}
