namespace UPool.MySql;

/// <summary>The rights of an account beyond its own sessions, read from <c>SHOW GRANTS</c>, which includes the active
/// roles.</summary>
/// <param name="SeesAll">PROCESS: the account sees the sessions of other accounts.</param>
/// <param name="EndsAll">CONNECTION ADMIN (in MySQL CONNECTION_ADMIN), or SUPER: the account may end them.</param>
internal readonly record struct AccountRights(bool SeesAll, bool EndsAll)
{
    private const string Everywhere = " ON *.* TO ";
    private const string Grant = "GRANT ";

    public static AccountRights Parse(IEnumerable<string> grants)
    {
        var rights = default(AccountRights);
        foreach (string grant in grants)
        {
            int end = grant.IndexOf(Everywhere, StringComparison.OrdinalIgnoreCase);
            if (end < 0 || !grant.StartsWith(Grant, StringComparison.OrdinalIgnoreCase)) continue;

            string[] privileges = grant[Grant.Length..end].ToUpperInvariant()
                .Split(',', StringSplitOptions.TrimEntries);
            bool hasAll = privileges.Contains("ALL PRIVILEGES") || privileges.Contains("ALL");
            rights = new AccountRights(
                rights.SeesAll || hasAll || privileges.Contains("PROCESS"),
                rights.EndsAll || hasAll || privileges.Contains("SUPER") || privileges.Contains("CONNECTION ADMIN")
                    || privileges.Contains("CONNECTION_ADMIN"));
        }

        return rights;
    }
}
