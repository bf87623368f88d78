using UPool.Core;
using UPool.MySql;

namespace UPool.Tests.MySql;

/// <summary>Each row of the error table.</summary>
public sealed class MySqlErrorTableTests
{
    [Theory]
    [InlineData(1205, "", DriverFailure.Statement, true, false)]
    [InlineData(1213, "", DriverFailure.RolledBack, true, false)]
    [InlineData(1792, "", DriverFailure.Statement, true, false)]
    [InlineData(3100, "", DriverFailure.Statement, true, false)]
    [InlineData(3101, "", DriverFailure.Statement, true, false)]
    [InlineData(1180, "", DriverFailure.Unclear, false, false)]
    [InlineData(1037, "", DriverFailure.Statement, false, true)]
    [InlineData(1038, "", DriverFailure.Statement, false, true)]
    [InlineData(1041, "", DriverFailure.Statement, false, true)]
    [InlineData(1317, "", DriverFailure.Statement, false, true)]
    [InlineData(1969, "", DriverFailure.Statement, false, true)]
    [InlineData(3024, "", DriverFailure.Statement, false, true)]
    [InlineData(1031, "", DriverFailure.NotTaken, false, false)]
    [InlineData(1153, "", DriverFailure.NotTaken, false, false)]
    [InlineData(1156, "", DriverFailure.NotTaken, false, false)]
    [InlineData(1157, "", DriverFailure.NotTaken, false, false)]
    [InlineData(1158, "", DriverFailure.NotTaken, false, false)]
    [InlineData(1159, "", DriverFailure.NotTaken, false, false)]
    [InlineData(1160, "", DriverFailure.SessionLost, false, false)]
    [InlineData(1161, "", DriverFailure.SessionLost, false, false)]
    [InlineData(1042, "", DriverFailure.Connection, false, false)]
    [InlineData(1053, "", DriverFailure.Connection, false, false)]
    [InlineData(1077, "", DriverFailure.Connection, false, false)]
    [InlineData(1078, "", DriverFailure.Connection, false, false)]
    [InlineData(1079, "", DriverFailure.Connection, false, false)]
    [InlineData(1080, "", DriverFailure.Connection, false, false)]
    [InlineData(1152, "", DriverFailure.Connection, false, false)]
    [InlineData(1184, "", DriverFailure.Connection, false, false)]
    [InlineData(1927, "", DriverFailure.Connection, false, false)]
    [InlineData(3169, "", DriverFailure.Connection, false, false)]
    [InlineData(4031, "", DriverFailure.Connection, false, false)]
    [InlineData(2000, "", DriverFailure.Connection, false, false)]
    [InlineData(2099, "", DriverFailure.Connection, false, false)]
    [InlineData(1290, "running with the --read-only option", DriverFailure.WrongServer, true, false)]
    [InlineData(1290, "running with the --secure-file-priv option", DriverFailure.Statement, true, false)]
    [InlineData(1836, "", DriverFailure.WrongServer, true, false)]
    [InlineData(1047, "WSREP has not yet prepared node", DriverFailure.WrongServer, false, false)]
    [InlineData(1047, "Unknown command", DriverFailure.Statement, false, false)]
    [InlineData(1040, "", DriverFailure.NoPermit, false, false)]
    [InlineData(1203, "", DriverFailure.NoPermit, false, false)]
    [InlineData(1226, "the 'max_user_connections' resource", DriverFailure.NoPermit, false, false)]
    [InlineData(1226, "the 'max_connections_per_hour' resource", DriverFailure.NoPermit, false, false)]
    [InlineData(1226, "the 'max_questions' resource", DriverFailure.Statement, false, false)]
    [InlineData(1226, "the 'max_updates' resource", DriverFailure.Statement, false, false)]
    [InlineData(1044, "", DriverFailure.Statement, false, false)]
    [InlineData(1045, "", DriverFailure.Statement, false, false)]
    [InlineData(1698, "", DriverFailure.Statement, false, false)]
    [InlineData(3118, "", DriverFailure.Statement, false, false)]
    [InlineData(4151, "", DriverFailure.Statement, false, false)]
    [InlineData(3955, "", DriverFailure.Statement, false, false)]
    [InlineData(4150, "", DriverFailure.Statement, false, false)]
    [InlineData(1820, "", DriverFailure.Statement, false, false)]
    [InlineData(1862, "", DriverFailure.Statement, false, false)]
    [InlineData(3159, "", DriverFailure.Statement, false, false)]
    [InlineData(3032, "", DriverFailure.Statement, false, false)]
    [InlineData(1049, "", DriverFailure.Statement, false, false)]
    [InlineData(1095, "", DriverFailure.Statement, false, false)]
    [InlineData(1129, "", DriverFailure.Statement, false, false)]
    [InlineData(1130, "", DriverFailure.Statement, false, false)]
    [InlineData(1062, "", DriverFailure.Statement, false, false)]
    [InlineData(1146, "", DriverFailure.Statement, false, false)]
    [InlineData(3572, "", DriverFailure.Statement, false, false)]
    [InlineData(4166, "", DriverFailure.Statement, false, false)]
    public void Find_Error_MeansWhatItDoes(int number, string text, object failure, bool refuses, bool meetsAny)
    {
        MySqlErrorRow row = MySqlErrorTable.Find(number, text);
        Assert.Equal(
            ((DriverFailure)failure, refuses, meetsAny), (row.Failure, row.RefusesCommit, row.MeetsAnyStatement));
    }

    [Fact]
    public void Rows_EveryOne_IsTestedAboveAndCanBeFound()
    {
        HashSet<int> tested = [.. typeof(MySqlErrorTableTests).GetMethod(nameof(Find_Error_MeansWhatItDoes))!
            .GetCustomAttributes(typeof(InlineDataAttribute), false)
            .Select(static one => (int)((InlineDataAttribute)one).Data[0]!)];
        foreach (MySqlErrorRow row in MySqlErrorTable.Rows)
        {
            Assert.All(row.Numbers, number => Assert.True(
                tested.Contains(number) || number is > 2000 and < 2099, $"{number} has no test"));
            Assert.Same(row, MySqlErrorTable.Find(row.Numbers[0], row.When ?? ""));
        }
    }

    [Theory]
    [InlineData(1226, "the 'max_user_connections' resource", "limit of connections")]
    [InlineData(1226, "the 'max_questions' resource", "limit of statements")]
    [InlineData(1047, "WSREP has not yet prepared node", "without its cluster")]
    [InlineData(3118, "", "locked")]
    [InlineData(4150, "", "wrong passwords")]
    [InlineData(1862, "", "password has expired")]
    [InlineData(1820, "", "password has expired")]
    [InlineData(3032, "", "offline mode")]
    [InlineData(3159, "", "TLS")]
    public void Words_Error_SayWhatItIsAndTheServer(int number, string text, string said)
    {
        string words = MySqlErrorTable.Find(number, text).Words!("MySQL at db:3306/d", number);
        Assert.StartsWith("MySQL at db:3306/d", words, StringComparison.Ordinal);
        Assert.Contains(said, words, StringComparison.Ordinal);
        Assert.Contains($"(error {number})", words, StringComparison.Ordinal);
    }
}
