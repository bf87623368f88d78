namespace UPool.Testing;

/// <summary>Finds installed programs.</summary>
internal static class Programs
{
    /// <summary>The full path of a program in PATH or in the system's folders.</summary>
    /// <exception cref="InvalidOperationException">It is not installed; the message says how to get it.</exception>
    public static string Find(string name, string debianPackage)
    {
        var path = Environment.GetEnvironmentVariable("PATH") ?? "";
        var folders = path.Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Concat(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]);
        return folders.Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists)
            ?? throw new InvalidOperationException(
                $"The program '{name}' is not in PATH or /usr/sbin. Get it with: apt-get install {debianPackage}");
    }
}
