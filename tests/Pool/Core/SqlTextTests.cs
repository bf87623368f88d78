using UPool.Core;

namespace UPool.Tests.Core;

public sealed class SqlTextTests
{
    [Theory]
    [InlineData("UPDATE t SET v = 1", ScriptKind.Single)]
    [InlineData(" UPDATE t SET v = 1 ;\n", ScriptKind.Single)]
    [InlineData("/* trace=1 */ UPDATE t SET v = 1 -- who", ScriptKind.Single)]
    [InlineData("UPDATE t SET v = 'a;b'", ScriptKind.Single)]
    [InlineData("UPDATE t SET v = 'it''s;'", ScriptKind.Single)]
    [InlineData("UPDATE `a;b` SET v = 1 # ; CALL p()", ScriptKind.Single)]
    [InlineData("(SELECT 1) UNION (SELECT 2)", ScriptKind.Single)]
    [InlineData("WITH q AS (SELECT 1) DELETE FROM t", ScriptKind.Single)]
    [InlineData("DO f()", ScriptKind.Single)]
    [InlineData("LOAD DATA LOCAL INFILE 'x' INTO TABLE t", ScriptKind.Single)]
    [InlineData("INSERT INTO t VALUES ('it\\'s')", ScriptKind.Single)]
    [InlineData("INSERT INTO t VALUES (@v); SELECT LAST_INSERT_ID()", ScriptKind.SingleAndId)]
    [InlineData("INSERT INTO t VALUES (@v);\nselect last_insert_id();", ScriptKind.SingleAndId)]
    [InlineData("INSERT INTO t VALUES (@v);\n/* id */ SELECT LAST_INSERT_ID ( ) -- it", ScriptKind.SingleAndId)]
    [InlineData("INSERT INTO t VALUES (@v); SELECT LAST_INSERT_ID() FROM t", ScriptKind.Several)]
    [InlineData("INSERT INTO t VALUES (@v); SELECT LAST_INSERT_ID(f())", ScriptKind.Several)]
    [InlineData("UPDATE t SET v = 1; UPDATE t SET v = 2; SELECT LAST_INSERT_ID()", ScriptKind.Several)]
    [InlineData("SET sql_mode = 'STRICT_ALL_TABLES'; UPDATE t SET v = 1", ScriptKind.Single)]
    [InlineData("SET sql_mode = @m; INSERT INTO t VALUES (@v); SELECT LAST_INSERT_ID()", ScriptKind.SingleAndId)]
    [InlineData("SET sql_mode = @m; UPDATE t SET v = 1; UPDATE t SET v = 2", ScriptKind.Several)]
    [InlineData("SET sql_mode = @m; CALL p()", ScriptKind.Several)]
    [InlineData("SET GLOBAL x = 1; UPDATE t SET v = 1", ScriptKind.Several)]
    [InlineData("call p()", ScriptKind.Several)]
    [InlineData("/* trace=1 */ CALL p()", ScriptKind.Several)]
    [InlineData("-- who\nCALL p()", ScriptKind.Several)]
    [InlineData("# who\n  CALL p()", ScriptKind.Several)]
    [InlineData("/*!50003 CALL p() */", ScriptKind.Several)]
    [InlineData("/*M!100000 CALL p() */", ScriptKind.Several)]
    [InlineData("/*!99999 SELECT */ CALL p()", ScriptKind.Several)]
    [InlineData("UPDATE t SET v = 1 /*!; CALL p() */", ScriptKind.Several)]
    [InlineData("UPDATE t SET v = 5--1; CALL p()", ScriptKind.Several)]
    [InlineData("UPDATE t SET v = '\\'; CALL p(); -- '", ScriptKind.Several)]
    [InlineData("UPDATE t SET v = 1; ; UPDATE t SET v = 2", ScriptKind.Several)]
    [InlineData("EXECUTE s", ScriptKind.Several)]
    [InlineData("EXECUTE IMMEDIATE 'x'", ScriptKind.Several)]
    [InlineData("BEGIN NOT ATOMIC INSERT INTO t VALUES (1); INSERT INTO t VALUES (1); END", ScriptKind.Several)]
    [InlineData("DROP TABLE a, b", ScriptKind.Several)]
    [InlineData("ANALYZE UPDATE t SET v = 1", ScriptKind.Several)]
    [InlineData("ALTER TABLE t ADD c INT", ScriptKind.Several)]
    public void KindOf_Text_KnowsOneStatementForCertainOnly(string text, object kind) =>
        Assert.Equal((ScriptKind)kind, SqlText.KindOf(text));

    [Theory]
    [InlineData("SELECT 1", TransactionEffect.None)]
    [InlineData("INSERT INTO t VALUES ('COMMIT; BEGIN')", TransactionEffect.None)]
    [InlineData("SAVEPOINT a", TransactionEffect.None)]
    [InlineData("ROLLBACK TO a", TransactionEffect.None)]
    [InlineData("ROLLBACK WORK TO SAVEPOINT a", TransactionEffect.None)]
    [InlineData("SET @x = 1", TransactionEffect.None)]
    [InlineData("SET @x = 'autocommit'", TransactionEffect.None)]
    [InlineData("SET NAMES utf8mb4", TransactionEffect.None)]
    [InlineData("BEGIN", TransactionEffect.Begins)]
    [InlineData("begin work;", TransactionEffect.Begins)]
    [InlineData("/* x */ START TRANSACTION READ ONLY", TransactionEffect.Begins)]
    [InlineData("COMMIT AND CHAIN", TransactionEffect.Begins)]
    [InlineData("SET autocommit = 0", TransactionEffect.Begins)]
    [InlineData("SET @@session.autocommit=OFF", TransactionEffect.Begins)]
    [InlineData("BEGIN; INSERT INTO t VALUES (1)", TransactionEffect.Begins)]
    [InlineData("COMMIT", TransactionEffect.Commits)]
    [InlineData("COMMIT WORK AND NO CHAIN", TransactionEffect.Commits)]
    [InlineData("SET autocommit = 1", TransactionEffect.Commits)]
    [InlineData("BEGIN; INSERT INTO t VALUES (1); COMMIT", TransactionEffect.Commits)]
    [InlineData("ROLLBACK", TransactionEffect.RollsBack)]
    [InlineData("ROLLBACK RELEASE", TransactionEffect.RollsBack)]
    [InlineData("SET @x = 1, `autocommit` = 1", TransactionEffect.Unknown)]
    [InlineData("SET autocommit = (SELECT 1)", TransactionEffect.Unknown)]
    [InlineData("SET GLOBAL autocommit = 0", TransactionEffect.Unknown)]
    [InlineData("SET STATEMENT max_statement_time = 1 FOR COMMIT", TransactionEffect.Unknown)]
    [InlineData("BEGIN NOT ATOMIC COMMIT; END", TransactionEffect.Unknown)]
    [InlineData("START SLAVE", TransactionEffect.Unknown)]
    [InlineData("CREATE TABLE x (a INT)", TransactionEffect.Unknown)]
    [InlineData("LOCK TABLES t WRITE", TransactionEffect.Unknown)]
    [InlineData("LOAD INDEX INTO CACHE t", TransactionEffect.Unknown)]
    [InlineData("CALL p()", TransactionEffect.Unknown)]
    [InlineData("EXECUTE s", TransactionEffect.Unknown)]
    [InlineData("XA START 'a'", TransactionEffect.Unknown)]
    [InlineData("/*!40101 COMMIT */", TransactionEffect.Unknown)]
    [InlineData("SELECT 1 /*!; COMMIT */", TransactionEffect.Unknown)]
    [InlineData("SELECT 1; CALL p()", TransactionEffect.Unknown)]
    public void EffectOf_Text_KnowsWhatIsCertain(string text, object effect) =>
        Assert.Equal((TransactionEffect)effect, SqlText.EffectOf(text));

    [Fact]
    public void KindOf_TextWithoutAnEnd_Ends()
    {
        foreach (string open in (string[])["'", "\"", "`", "/*", "/*!", "--", "#", "(", "'\\", ";", ";;", "SET", "@"])
        {
            SqlText.KindOf("SELECT 1; " + open);
            SqlText.EffectOf(open);
        }
    }
}
