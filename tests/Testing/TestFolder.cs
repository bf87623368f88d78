using System.Diagnostics;

namespace UPool.Testing;

/// <summary>
/// One temporary folder for this process, removed when it ends. A process that was killed cannot remove its own, so
/// each removes those of processes that are gone.
/// </summary>
internal static class TestFolder
{
    private const string Prefix = "upool-test-";

    private static readonly Lazy<string> Root = new(CreateRoot);

    /// <summary>A new path below the folder; nothing is created there.</summary>
    public static string NewPath(string name) => Path.Combine(Root.Value, $"{name}-{Guid.NewGuid():N}");

    /// <summary>Removes a folder; one that is gone is no error.</summary>
    public static void Remove(string path)
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (DirectoryNotFoundException)
        {
        }
    }

    private static string CreateRoot()
    {
        foreach (var folder in Directory.EnumerateDirectories(Path.GetTempPath(), $"{Prefix}*"))
        {
            RemoveOfTheDead(folder);
        }

        // Short, because the server's socket is in it and a socket's path has 108 bytes; private to this user.
        var root = Directory.CreateTempSubdirectory($"{Prefix}{Environment.ProcessId}-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Remove(root);
        return root;
    }

    private static void RemoveOfTheDead(string folder)
    {
        var name = Path.GetFileName(folder)[Prefix.Length..];
        if (!int.TryParse(name.Split('-')[0], out var processId) || IsAlive(processId))
        {
            return;
        }

        try
        {
            Remove(folder);
        }
        catch (Exception exception) when (exception is UnauthorizedAccessException or IOException)
        {
            // Another user's, or another process removes it at this moment.
        }
    }

    private static bool IsAlive(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
