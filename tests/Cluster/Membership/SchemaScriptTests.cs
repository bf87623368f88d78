using UPool.Cluster.Membership;

namespace UPool.Cluster.Tests.Membership;

public sealed class SchemaScriptTests
{
    [Fact]
    public void Statements_MarkersAndSemicolons_SplitsAtMarkersOnly()
    {
        var script = new SchemaScript("s", """
            -- About the file.
            CREATE TABLE t (id int);

            -- next
            -- Why.
            CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END

            -- next
            -- Only a remark.

            -- query Key1
            SELECT 1;
            SELECT 2;
            """);

        Assert.Equal(
            [
                new(null, "-- About the file.\nCREATE TABLE t (id int);"),
                new(null, "-- Why.\nCREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END"),
                new("Key1", "SELECT 1;\nSELECT 2;"),
            ],
            script.Statements().Select(statement => (statement.QueryKey, statement.Text)));
    }

    [Fact]
    public void Statements_WindowsLineEnds_AreTheSame()
    {
        var script = new SchemaScript("s", "SELECT 1\r\n-- next\r\nSELECT 2\r\n");

        Assert.Equal(["SELECT 1", "SELECT 2"], script.Statements().Select(statement => statement.Text));
    }

    [Fact]
    public void Scripts_Embedded_ComeInTheirOrder() =>
        Assert.Equal(
            ["1-orleans-query", "2-clustering", "3-grain-storage", "4-session-register"],
            ClusterSchema.Scripts.Select(script => script.Name));
}
