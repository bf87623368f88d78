using UPool.Core;

namespace UPool.Tests.Core;

/// <summary>A reported statement shows its shape and none of the values in it.</summary>
public sealed class StatementTextTests
{
    [Theory]
    [InlineData("SELECT id FROM t WHERE id = @id", "SELECT id FROM t WHERE id = @id")]
    [InlineData("SELECT 'it''s', \"a\"\"b\" FROM t", "SELECT ?, ? FROM t")]
    [InlineData("SELECT a, 'b\\', 'c' FROM t", "SELECT a, ?")]
    [InlineData("SELECT 12, 1.5e3, .5, 0xFF FROM t1", "SELECT ?, ?, ?, ? FROM t1")]
    [InlineData("SELECT `a'b`, c2 FROM `t``3`", "SELECT `a'b`, c2 FROM `t``3`")]
    [InlineData("SELECT x'4142', _utf8'ab', N'ab'", "SELECT x?, _utf8?, N?")]
    [InlineData("SELECT a /* 'secret' */ FROM t -- 5\nWHERE b = 1 # x", "SELECT a   FROM t  \nWHERE b = ?  ")]
    [InlineData("SELECT 'open", "SELECT ?")]
    [InlineData("SELECT a /* open", "SELECT a  ")]
    [InlineData("SELECT a /*/ secret */ FROM t", "SELECT a   FROM t")]
    [InlineData("SET @a = @@session.x1", "SET @a = @@session.x1")]
    [InlineData("SELECT t1.5x, -7, 文字1", "SELECT t1?, -?, 文字1")]
    [InlineData("", "")]
    public void WithoutValues_Text_HasAMarkForEachLiteral(string text, string expected) =>
        Assert.Equal(expected, StatementText.WithoutValues(text));

    [Fact]
    public void WithoutValues_LongText_IsCutOff()
    {
        string told = StatementText.WithoutValues("SELECT " + string.Join(", ", Enumerable.Repeat("@name", 10_000)));

        Assert.Equal(2049, told.Length);
        Assert.EndsWith("…", told, StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutValues_AnyLiteral_IsNotTold()
    {
        var random = new Random((int)Seed.Next());
        const string Pieces = "'\"`\\-#/*@_.09axZ \n=,()";
        for (int round = 0; round < 20_000; round++)
        {
            string text = string.Concat(
                Enumerable.Range(0, random.Next(30)).Select(_ => Pieces[random.Next(Pieces.Length)]));
            string literal = text.Replace("'", "''").Replace("\\", "");

            Assert.Equal("SELECT ?, ?", StatementText.WithoutValues($"SELECT '{literal}', 1"));
            Assert.NotNull(StatementText.WithoutValues(text));
        }
    }

    [Theory]
    [InlineData("select 1", "SELECT")]
    [InlineData("  (SELECT 1)", "SELECT")]
    [InlineData("INSERT INTO t", "INSERT")]
    [InlineData("", "STATEMENT")]
    [InlineData("123", "STATEMENT")]
    [InlineData("SET sql_mode = CONCAT_WS(';', @@sql_mode); INSERT INTO t VALUES (1)", "INSERT")]
    [InlineData("SET autocommit = 1;", "SET")]
    [InlineData("/* secret */ SELECT 1", "SELECT")]
    [InlineData("-- secret\nSELECT 1", "SELECT")]
    [InlineData("# secret", "STATEMENT")]
    [InlineData("/*/ secret */ DELETE FROM t", "DELETE")]
    [InlineData("'secret'", "STATEMENT")]
    [InlineData("SET a = 1 /* ; secret */; INSERT INTO t VALUES (1)", "INSERT")]
    [InlineData("SET a = 1; -- secret\nUPDATE t SET a = 1", "UPDATE")]
    public void Operation_Text_IsItsFirstWord(string text, string expected) =>
        Assert.Equal(expected, StatementText.Operation(text));
}
