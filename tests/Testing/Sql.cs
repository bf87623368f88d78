namespace UPool.Testing;

/// <summary>Parts of statements that the families of servers write differently, for the tested one.</summary>
public static class Sql
{
    /// <summary>
    /// Sets the server's counters back, <c>Max_used_connections</c> to what is connected now. From 11.5 on MariaDB does
    /// that with one more word, which others read as a comment.
    /// </summary>
    public const string FlushStatus = "FLUSH /*M!110500 GLOBAL */ STATUS";

    /// <inheritdoc cref="ServerFamily.ConnectionAdmin"/>
    public static string ConnectionAdmin => ServerFamily.Tested.ConnectionAdmin;

    /// <inheritdoc cref="ServerFamily.IsolationVariable"/>
    public static string IsolationVariable => ServerFamily.Tested.IsolationVariable;

    /// <inheritdoc cref="ServerFamily.SessionStatus"/>
    public static string SessionStatus => ServerFamily.Tested.SessionStatus;

    /// <inheritdoc cref="ServerFamily.GlobalStatus"/>
    public static string GlobalStatus => ServerFamily.Tested.GlobalStatus;

    /// <inheritdoc cref="ServerFamily.ProcessList"/>
    public static string ProcessList => ServerFamily.Tested.ProcessList;

    /// <inheritdoc cref="ServerFamily.InTransaction"/>
    public static string InTransaction => ServerFamily.Tested.InTransaction;

    /// <inheritdoc cref="ServerFamily.SetsOfReset"/>
    public static int SetsOfReset => ServerFamily.Tested.SetsOfReset;

    /// <inheritdoc cref="ServerFamily.SetDefaultRole"/>
    public static string SetDefaultRole(string role, string account) =>
        ServerFamily.Tested.SetDefaultRole(role, account);

    /// <inheritdoc cref="ServerFamily.Sequence"/>
    public static string Sequence(int count, string alias = "numbers") => ServerFamily.Tested.Sequence(count, alias);

    /// <summary>Privileges, in which MariaDB's CONNECTION ADMIN is written as the tested server has it.</summary>
    public static string Privileges(string privileges) =>
        privileges.Replace("CONNECTION ADMIN", ConnectionAdmin, StringComparison.Ordinal);
}
